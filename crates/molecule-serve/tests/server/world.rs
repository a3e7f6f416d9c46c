//! A platform on a loopback port, and a home for agents.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use molecule_core::proto::Token;
use molecule_platform::serve::serve;
use molecule_platform::{Config, Dialect, Server};

pub const PATIENCE: Duration = Duration::from_secs(20);

/// The credential of the platform's owner.
pub const ADMIN: &str = "the-token-of-the-platforms-owner";

pub struct World {
    pub platform: Server,
    pub home: PathBuf,
}

impl World {
    pub fn new() -> Self {
        Self::of(Config::new(Dialect::Current).admin_token(Token::given(ADMIN).unwrap()))
    }

    pub fn of(config: Config) -> Self {
        static WORLDS: AtomicU32 = AtomicU32::new(0);
        let number = WORLDS.fetch_add(1, Ordering::Relaxed);
        let home = std::env::temp_dir().join(format!("molecule-serve-{}-{number}", std::process::id()));
        Self { platform: serve(config, "127.0.0.1:0").unwrap(), home }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

/// Waits until something is so.
pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "it does not come to be: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
