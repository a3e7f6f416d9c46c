//! With the feature `tracing`, every event is one of the target `molecule` too. Alone in its program: the collector is
//! everybody's.
#![cfg(feature = "tracing")]
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use molecule_async::{Agent, Storage};
use molecule_platform::{Config, Dialect, Platform, serve};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

#[tokio::test]
async fn events_are_traced_without_secrets() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    tracing::subscriber::set_global_default(Collector(seen.clone())).unwrap();
    let server = serve(Platform::new(Config::new(Dialect::Current)), "127.0.0.1:0").unwrap();
    let (id, token) = server.with(|platform, now| platform.create_workspace(now, "an agent"));
    let agent = Agent::builder(server.url(), id.as_str()).storage(Storage::Memory).token(token.expose());
    agent.build().unwrap().register().await.unwrap();
    let seen = seen.lock().unwrap();
    assert!(seen.iter().any(|line| line.starts_with("INFO event=Registered")), "{seen:?}");
    assert!(seen.iter().all(|line| !line.contains(token.expose())), "{seen:?}");
}

/// Keeps the events of the target `molecule` as text.
struct Collector(Arc<Mutex<Vec<String>>>);

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "molecule" && *metadata.level() <= Level::INFO
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!(" {field}={value:?}"));
    }
}
