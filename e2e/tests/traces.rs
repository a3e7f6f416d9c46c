//! The spans and events that both facades give to `tracing`: the agent, the call, and the caller's span. This test has
//! a program of its own, because the collector is global.

#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use molecule_e2e::core::{Ended, Event, InboundMessage, Reply};
use molecule_e2e::platform::Dialect;
use molecule_e2e::{Facade, Stage, route};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Metadata, Subscriber, info_span};

const FACADES: [Facade; 2] = [Facade::Blocking, Facade::Async];

#[test]
fn an_event_says_which_agent_it_is_of_and_lies_in_the_callers_span() {
    for facade in FACADES {
        let world = Stage { facade, dialect: Dialect::Current }.world();
        let (id, token) = world.workspace();
        let agent = world.setup(&id).token(&token).build().unwrap();
        let what = format!("one call, {facade:?}");
        callers_span(&what).in_scope(|| agent.register()).unwrap();

        let said = log().said(&what);
        assert!(said.iter().all(|said| said.fields["workspace_id"] == id.as_str()), "{said:?}");
        let registered = one(&said, "registered");
        assert_eq!(registered.level, Level::INFO);
        assert_eq!(registered.fields["minted"], "false");
        assert_eq!(registered.fields["delivery_mode"], "poll");
        assert!(registered.fields["message"].starts_with("registered in poll mode"), "{registered:?}");
        let call = &registered.below[0];
        assert_eq!((call.name, call.fields["operation"].as_str()), ("call", "register"));
        assert_eq!(call.fields["workspace_id"], id.as_str());
        assert_eq!(registered.below[1].fields["what"], what, "the caller's own span is around it");
        assert!(!format!("{said:?}").contains(token.expose()), "{said:?}");
    }
}

#[test]
fn each_request_is_a_span_with_its_operation_and_attempt() {
    for facade in FACADES {
        let world = Stage { facade, dialect: Dialect::Current }.world();
        let (id, token) = world.workspace();
        let agent = world.setup(&id).token(&token).build().unwrap();
        agent.register().unwrap();
        let busy = world.answer_times(1, route::SECRETS, 503, &[], r#"{"error":"later"}"#);
        let what = format!("two attempts, {facade:?}");
        callers_span(&what).in_scope(|| agent.pull_secrets()).unwrap();
        busy.end();

        let requests = log().requests(&what);
        let attempts: Vec<_> = requests
            .iter()
            .map(|span| (&*span.fields["operation"], &*span.fields["method"], &*span.fields["attempt"]))
            .collect();
        assert_eq!(attempts, [("pull secrets", "GET", "1"), ("pull secrets", "GET", "2")], "{facade:?}");
        let said = log().said(&what);
        let retrying = one(&said, "retrying");
        assert_eq!((&*retrying.fields["operation"], &*retrying.fields["attempt"]), ("pull secrets", "1"));
        assert!(retrying.fields["error"].starts_with("pull secrets failed: "), "{retrying:?}");
    }
}

#[test]
fn a_loop_tells_from_its_own_task_or_threads_in_its_callers_span() {
    for facade in FACADES {
        let world = Stage { facade, dialect: Dialect::Current }.world();
        let (id, token) = world.workspace();
        let agent = world.setup(&id).token(&token).build().unwrap();
        let what = format!("a loop, {facade:?}");
        let (mine, looped) = (callers_span(&what), agent.clone());
        let running = std::thread::spawn(move || mine.in_scope(|| looped.run_heartbeat_loop()));
        agent.events().wait_for("Online", |event| *event == Event::Online);
        world.wait_for_count(route::STATE, 1);
        agent.stopper().stop();
        assert_eq!(running.join().unwrap().unwrap(), Ended::Stopped);

        let said = log().said(&what);
        let online = one(&said, "online");
        assert_eq!(online.below[0].fields["operation"], "run heartbeat loop");
        assert_eq!(online.below[1].fields["what"], what);
        let requests = log().requests(&what);
        for operation in ["heartbeat", "poll state", "register"] {
            assert!(requests.iter().any(|span| span.fields["operation"] == operation), "{operation}: {requests:?}");
        }
    }
}

#[test]
fn a_handler_works_in_a_span_of_its_message_below_its_callers() {
    for facade in FACADES {
        let world = Stage { facade, dialect: Dialect::Current }.world();
        let (id, token) = world.workspace();
        let agent = world.setup(&id).token(&token).build().unwrap();
        let what = format!("a handler, {facade:?}");
        let (mine, looped) = (callers_span(&what), agent.clone());
        let handler = |message: InboundMessage| {
            tracing::info!(target: "molecule", event = "application", row = %message.id());
            if message.attempt() == 1 { Err("not yet".to_owned()) } else { Ok(Some(Reply::text("done"))) }
        };
        let running = std::thread::spawn(move || mine.in_scope(|| looped.run_agent_loop(handler)));
        world.platform(|platform, now| platform.send_user_message(now, &id, "hello")).unwrap();
        agent.events().wait_for("the reply", |event| matches!(event, Event::ReplyEnded { .. }));
        agent.stopper().stop();
        assert_eq!(running.join().unwrap().unwrap(), Ended::Stopped);

        let said = log().said(&what);
        let said: Vec<_> = said.iter().filter(|said| said.fields["event"] == "application").collect();
        assert_eq!(said.len(), 2, "{said:?}");
        for (said, attempt) in said.iter().zip(["1", "2"]) {
            let [message, call, mine] = &said.below[..] else { panic!("{said:?}") };
            assert_eq!((message.name, &*message.fields["attempt"]), ("message", attempt));
            assert_eq!(message.fields["message_id"], said.fields["row"]);
            assert_eq!(
                (call.name, &*call.fields["workspace_id"], &*mine.fields["what"]),
                ("call", id.as_str(), &*what)
            );
        }
    }
}

/// The only event with this name.
fn one<'a>(said: &'a [Said], name: &str) -> &'a Said {
    said.iter().find(|said| said.fields["event"] == name).unwrap_or_else(|| panic!("no {name}: {said:?}"))
}

/// Creates the caller's span with a unique name, by which its records are found. The collection has begun when it
/// exists.
fn callers_span(what: &str) -> tracing::Span {
    drop(log());
    info_span!(target: "molecule", "mine", what)
}

/// The records so far; the first call begins the collection.
fn log() -> MutexGuard<'static, Log> {
    static BEGUN: LazyLock<()> = LazyLock::new(|| tracing::subscriber::set_global_default(Collector).unwrap());
    LazyLock::force(&BEGUN);
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

static LOG: Mutex<Log> = Mutex::new(Log { spans: BTreeMap::new(), said: Vec::new() });

/// All records of the program.
struct Log {
    spans: BTreeMap<u64, Spanned>,
    said: Vec<Said>,
}

/// A span, and the number of its parent.
#[derive(Debug, Clone)]
struct Spanned {
    name: &'static str,
    fields: Fields,
    parent: Option<u64>,
}

/// An event, and the spans around it, the innermost first.
#[derive(Debug, Clone)]
struct Said {
    level: Level,
    fields: Fields,
    below: Vec<Spanned>,
}

impl Log {
    /// The events inside the caller's span of this name.
    fn said(&self, what: &str) -> Vec<Said> {
        self.said.iter().filter(|said| is_below(&said.below, what)).cloned().collect()
    }

    /// The request spans inside it, in their order.
    fn requests(&self, what: &str) -> Vec<Spanned> {
        let its = |span: &&Spanned| is_below(&self.around(span.parent), what);
        self.spans.values().filter(|span| span.name == "request").filter(its).cloned().collect()
    }

    /// A span and its ancestors.
    fn around(&self, span: Option<u64>) -> Vec<Spanned> {
        let get = |number: u64| self.spans.get(&number);
        std::iter::successors(span.and_then(get), |span| span.parent.and_then(get)).cloned().collect()
    }
}

/// Returns whether one of these spans is the caller's span of this name.
fn is_below(spans: &[Spanned], what: &str) -> bool {
    spans.iter().any(|span| span.fields.get("what").is_some_and(|of| of == what))
}

thread_local! {
    /// The spans that this thread has entered.
    static ENTERED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

fn entered() -> Option<u64> {
    ENTERED.with_borrow(|entered| entered.last().copied())
}

/// Collects the records with the target `molecule`.
struct Collector;

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "molecule" && *metadata.level() <= Level::INFO
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let mut fields = Fields::new();
        span.record(&mut Into(&mut fields));
        let parent = if span.is_contextual() { entered() } else { span.parent().map(Id::into_u64) };
        LOG.lock().unwrap().spans.insert(number, Spanned { name: span.metadata().name(), fields, parent });
        Id::from_u64(number)
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut fields = Fields::new();
        event.record(&mut Into(&mut fields));
        let mut log = LOG.lock().unwrap();
        let below = log.around(entered());
        log.said.push(Said { level: *event.metadata().level(), fields, below });
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, span: &Id) {
        ENTERED.with_borrow_mut(|entered| entered.push(span.into_u64()));
    }

    fn exit(&self, span: &Id) {
        ENTERED.with_borrow_mut(|entered| {
            let at = entered.iter().rposition(|entered| *entered == span.into_u64()).unwrap();
            entered.remove(at);
        });
    }
}

/// The fields of a record.
type Fields = BTreeMap<&'static str, String>;

/// A visitor that collects fields.
struct Into<'a>(&'a mut Fields);

impl Visit for Into<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}
