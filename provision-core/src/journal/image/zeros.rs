//! The form of a large content before it is sealed: runs of zeros, such as the holes of a sparse file, are counted and not
//! held.
//!
//! A content is a sequence of frames: how many zeros come first (64 bits, little-endian), how many bytes follow them (32 bits), and
//! these bytes. It ends with the last frame.

use std::io::{self, Read, Write};

use zeroize::Zeroizing;

/// Zeros count in blocks of this length, as file systems have them.
const BLOCK: usize = 4 << 10;

/// The most bytes of a frame.
const FRAME: usize = 64 << 10;

/// Takes a content and writes its frames.
pub(super) struct Encoder<W> {
    to: W,
    zeros: u64,
    bytes: Zeroizing<Vec<u8>>,
    /// What there is of the next block.
    block: Zeroizing<Vec<u8>>,
}

impl<W: Write> Encoder<W> {
    pub(super) fn new(to: W) -> Encoder<W> {
        let with_room = |length| Zeroizing::new(Vec::with_capacity(length));
        Encoder { to, zeros: 0, bytes: with_room(FRAME), block: with_room(BLOCK) }
    }

    /// Writes what is left.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.end_block()?;
        self.end_frame()?;
        Ok(self.to)
    }

    fn end_block(&mut self) -> io::Result<()> {
        let is_zero = self.block.iter().all(|byte| *byte == 0);
        if (is_zero && !self.bytes.is_empty()) || self.bytes.len() + self.block.len() > FRAME {
            self.end_frame()?;
        }
        match is_zero {
            true => self.zeros += self.block.len() as u64,
            false => self.bytes.extend_from_slice(&self.block),
        }
        self.block.clear();
        Ok(())
    }

    fn end_frame(&mut self) -> io::Result<()> {
        if self.zeros == 0 && self.bytes.is_empty() {
            return Ok(());
        }
        let length = u32::try_from(self.bytes.len()).map_err(io::Error::other)?;
        self.to.write_all(&self.zeros.to_le_bytes())?;
        self.to.write_all(&length.to_le_bytes())?;
        self.to.write_all(&self.bytes)?;
        self.zeros = 0;
        self.bytes.clear();
        Ok(())
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..length]);
        if self.block.len() == BLOCK {
            self.end_block()?;
        }
        Ok(length)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads frames and gives the content back.
pub(super) struct Decoder<R> {
    from: R,
    zeros: u64,
    bytes: usize,
}

impl<R: Read> Decoder<R> {
    pub(super) fn new(from: R) -> Decoder<R> {
        Decoder { from, zeros: 0, bytes: 0 }
    }

    /// Reads the head of the next frame; whether there was one.
    fn next_frame(&mut self) -> io::Result<bool> {
        let mut head = [0; 12];
        let mut filled = 0;
        while filled < head.len() {
            match self.from.read(&mut head[filled..])? {
                0 if filled == 0 => return Ok(false),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => filled += read,
            }
        }
        self.zeros = u64::from_le_bytes(std::array::from_fn(|at| head[at]));
        self.bytes = u32::from_le_bytes(std::array::from_fn(|at| head[8 + at])) as usize;
        Ok(true)
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while self.zeros == 0 && self.bytes == 0 {
            if !self.next_frame()? {
                return Ok(0);
            }
        }
        if self.zeros > 0 {
            let length = buffer.len().min(usize::try_from(self.zeros).unwrap_or(usize::MAX));
            buffer[..length].fill(0);
            self.zeros -= length as u64;
            return Ok(length);
        }
        let length = buffer.len().min(self.bytes);
        match self.from.read(&mut buffer[..length])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.bytes -= read;
                Ok(read)
            }
        }
    }
}

#[cfg(test)]
pub(in crate::journal) fn encoded(content: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(frames: &[u8]) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        Decoder::new(frames).read_to_end(&mut content)?;
        Ok(content)
    }

    proptest! {
        #[test]
        fn any_content_comes_back(parts in proptest::collection::vec((0usize..20_000, 0usize..20_000), 0..6)) {
            let mut content = Vec::new();
            for (zeros, bytes) in parts {
                content.resize(content.len() + zeros, 0);
                content.resize(content.len() + bytes, 7);
            }
            let frames = encoded(&content);
            prop_assert!(frames.len() <= content.len() + 12 * (content.len() / BLOCK + 2));
            prop_assert_eq!(decoded(&frames).unwrap(), content);
        }

        #[test]
        fn frames_that_are_cut_are_an_error_or_an_earlier_end(cut in 0usize..9_000) {
            let frames = encoded(&[vec![7; 4096], vec![0; 4096], vec![9; 100]].concat());
            let cut = cut.min(frames.len());
            let whole = [vec![7; 4096], vec![0; 4096], vec![9; 100]].concat();
            prop_assert!(decoded(&frames[..cut]).is_err() || whole.starts_with(&decoded(&frames[..cut]).unwrap()));
        }
    }

    #[test]
    fn many_zeros_take_no_room() {
        let mut encoder = Encoder::new(Vec::new());
        io::copy(&mut io::repeat(0).take(64 << 20), &mut encoder).unwrap();
        assert_eq!(encoder.finish().unwrap().len(), 12);
    }
}
