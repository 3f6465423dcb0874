//! A small systemd: what starting and stopping units does to others, see `systemd.unit(5)` and `systemctl(1)`.

mod boot;
mod cache;
mod calendar;
mod definition;
mod jobs;
mod needs;
mod presets;
mod stops;
mod timers;
mod triggers;

pub(super) use cache::UnitCache;
