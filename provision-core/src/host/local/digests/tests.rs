//! A digest is remembered for as long as the file is the same, and no longer.
#![expect(clippy::disallowed_methods, reason = "the files lie where the test runs")]

use std::fs::{self, FileTimes, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::golden;
use crate::source::Source;
use crate::state::MemoryStore;

const SIZE: usize = 300 * 1024;

/// The boot, the file as it was, and its digest.
type Remembered = (String, FileIdentity, Digest);

/// A large file, and a cache that remembers at once.
struct World {
    directory: TempDir,
    store: MemoryStore,
    cache: DigestCache,
}

impl World {
    fn new() -> World {
        let store = MemoryStore::new();
        let cache =
            DigestCache { store: Arc::new(store.clone()), settled: || Some(Duration::ZERO), is_telling: |_| true };
        let world = World { directory: TempDir::new().unwrap(), store, cache };
        fs::write(world.path(), vec![b'a'; SIZE]).unwrap();
        world
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("large")
    }

    fn digest(&self) -> Digest {
        self.cache.digest("large", &mut File::open(self.path()).unwrap()).unwrap()
    }

    fn source(&self) -> Source {
        Source::read_from(&self.path(), Some(&self.cache)).unwrap()
    }

    fn truth(&self) -> Digest {
        Digest::of(&fs::read(self.path()).unwrap())
    }

    /// Remembers that everything holds nothing.
    fn forge(&self) {
        let forged = Digest { sha256: "forged".to_owned(), size: SIZE as u64 };
        self.rewrite(|(boot, of, _)| (boot, of, forged.clone()));
    }

    /// Changes what is remembered.
    fn rewrite(&self, change: impl Fn(Remembered) -> Remembered) {
        for name in self.store.list(DIGESTS.directory).unwrap() {
            let bytes = DIGESTS.read(&self.store, &name).unwrap().unwrap();
            let changed = change(rmp_serde::from_slice(&bytes).unwrap());
            DIGESTS.write(&self.store, &name, &changed).unwrap();
        }
    }

    /// Changes one byte in place, with the same size and the same times that can be set.
    fn change_secretly(&self) {
        let mut file = OpenOptions::new().write(true).open(self.path()).unwrap();
        let before = file.metadata().unwrap();
        file.seek(SeekFrom::Start(1000)).unwrap();
        file.write_all(b"b").unwrap();
        let times = FileTimes::new().set_modified(before.modified().unwrap()).set_accessed(before.accessed().unwrap());
        file.set_times(times).unwrap();
        assert_eq!(file.metadata().unwrap().modified().unwrap(), before.modified().unwrap());
    }
}

#[test]
fn a_file_that_is_the_same_is_not_read_again() {
    let world = World::new();
    assert_eq!(world.digest(), world.truth());
    assert_eq!(world.source().digest(), &world.truth());
    world.forge();
    assert_eq!(world.digest().sha256, "forged");
    assert_eq!(world.source().digest().sha256, "forged");
}

#[test]
fn a_change_that_keeps_size_and_time_of_modification_is_noticed() {
    let world = World::new();
    world.digest();
    world.source();
    world.forge();
    // The clock of the file system may tick no more often than every 10 ms.
    std::thread::sleep(Duration::from_millis(20));
    world.change_secretly();
    assert_eq!(world.digest(), world.truth());
    assert_eq!(world.source().digest(), &world.truth());
}

#[test]
fn a_file_that_was_changed_a_moment_ago_is_not_remembered() {
    let world = World::new();
    let world = World { cache: DigestCache { settled, ..world.cache.clone() }, ..world };
    world.digest();
    assert!(!FileIdentity::new(&fstat(File::open(world.path()).unwrap()).unwrap()).is_settled(SETTLED));
    assert!(world.cache.store.list(DIGESTS.directory).unwrap().is_empty());
}

#[test]
fn what_was_remembered_before_the_machine_was_started_does_not_count() {
    let world = World::new();
    world.digest();
    let forged = Digest { sha256: "forged".to_owned(), size: SIZE as u64 };
    world.rewrite(|(_, of, _)| ("another boot".to_owned(), of, forged.clone()));
    assert_eq!(world.digest(), world.truth());
}

#[test]
fn a_source_that_changes_before_it_is_copied_is_refused() {
    let world = World::new();
    world.source();
    let source = world.source();
    assert!(source.content().is_ok());
    let source = world.source();
    world.change_secretly();
    let error = source.content().unwrap_err();
    assert!(error.to_string().contains("changed since this run began"), "{error}");
}

#[test]
fn small_files_are_read() {
    let world = World::new();
    fs::write(world.path(), "small").unwrap();
    assert_eq!(world.digest(), Digest::of(b"small"));
    assert_eq!(world.source().content().unwrap().text(), Some("small"));
    assert!(world.store.files().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn damaged_entries_are_ignored(at in 0..200_usize, byte in any::<u8>(), cut in any::<bool>()) {
        let world = World::new();
        world.digest();
        for (name, mut bytes) in world.store.files() {
            let at = at % bytes.len();
            if cut { bytes.truncate(at) } else { bytes[at] = byte }
            world.store.replace(&name, &bytes).unwrap();
        }
        prop_assert_eq!(world.digest(), world.truth());
    }
}

#[test]
fn golden_digests_of_every_version_are_read_and_those_of_a_newer_one_left_as_they_are() {
    let identity = rmp_serde::to_vec(&(1u64, 2u64, 3i64, (4i64, 5i64), (6i64, 7i64))).unwrap();
    let identity: FileIdentity = rmp_serde::from_slice(&identity).unwrap();
    let known: Remembered = ("boot".to_owned(), identity, Digest::of(b"abc"));
    let store = MemoryStore::new();
    DIGESTS.write(&store, "entry", &known).unwrap();
    for bytes in golden::versions("digest", &store.files()["digests/entry"]) {
        store.replace("digests/entry", &bytes).unwrap();
        let read = DIGESTS.read(&store, "entry").unwrap().unwrap();
        assert_eq!(rmp_serde::from_slice::<Remembered>(&read).unwrap(), known);
    }
    let world = World::new();
    world.digest();
    let files = world.store.files();
    let (name, bytes) = files.first_key_value().unwrap();
    let newer = golden::of_next_version(&DIGEST, bytes);
    world.store.replace(name, &newer).unwrap();
    assert_eq!(world.digest(), Digest::of(&[b'a'; SIZE]));
    assert!(world.store.files()[name] == newer);
    let entry = name.strip_prefix("digests/").unwrap();
    golden::assert_newer(&DIGESTS.read(&world.store, entry).unwrap_err(), &DIGEST);
    // Nor does it go when there are too many.
    let full = Shelf { most: 1, ..DIGESTS };
    full.write(&world.store, "another", &known).unwrap();
    full.write(&world.store, "third", &known).unwrap();
    assert_eq!(world.store.list("digests").unwrap(), [entry, "third"].map(str::to_owned));
}
