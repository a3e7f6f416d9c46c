//! A loop that ends at once leaves a write of the journal behind: no later loop reads the journal before that is over.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use molecule_e2e::core::{Ended, ErrorKind, Event, InboundMessage, Reply};
use molecule_e2e::host::{Durability, Slot, Storage, Store, StoreError, Stored};
use molecule_e2e::{Log, PATIENCE, World, scenario};

/// The writes of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Append,
    Replace,
}

/// A store whose writes of the journal take as long as its disk is stuck.
#[derive(Clone)]
struct StuckDisk(Arc<Disk>);

struct Disk {
    store: Arc<dyn Store>,
    state: Mutex<DiskState>,
    changed: Condvar,
}

#[derive(Default)]
struct DiskState {
    stuck: Option<Write>,
    /// How many writes wait for the disk.
    waiting: usize,
    /// Whether the journal was read while one did.
    is_overtaken: bool,
}

impl StuckDisk {
    fn new(store: Arc<dyn Store>) -> Self {
        Self(Arc::new(Disk { store, state: Mutex::default(), changed: Condvar::new() }))
    }

    fn stick(&self, at: Option<Write>) {
        self.0.state.lock().unwrap().stuck = at;
        self.0.changed.notify_all();
    }

    fn wait_until_a_write_waits(&self) {
        let state = self.0.state.lock().unwrap();
        let (_state, waited) = self.0.changed.wait_timeout_while(state, PATIENCE, |state| state.waiting == 0).unwrap();
        assert!(!waited.timed_out(), "no write came");
    }

    fn is_overtaken(&self) -> bool {
        self.0.state.lock().unwrap().is_overtaken
    }

    fn wait_for_the_disk(&self, write: Write, slot: Slot) {
        let mut state = self.0.state.lock().unwrap();
        if slot == Slot::Inbox && state.stuck == Some(write) {
            state.waiting += 1;
            self.0.changed.notify_all();
            state = self.0.changed.wait_while(state, |state| state.stuck == Some(write)).unwrap();
            state.waiting -= 1;
        }
    }
}

impl Store for StuckDisk {
    fn prepare(&self) -> Result<(), StoreError> {
        self.0.store.prepare()
    }

    fn load(&self, slot: Slot) -> Result<Option<Stored>, StoreError> {
        let mut state = self.0.state.lock().unwrap();
        state.is_overtaken |= slot == Slot::Inbox && state.waiting > 0;
        drop(state);
        self.0.store.load(slot)
    }

    fn replace(&self, slot: Slot, content: &[u8]) -> Result<(), StoreError> {
        self.wait_for_the_disk(Write::Replace, slot);
        self.0.store.replace(slot, content)
    }

    fn append(&self, slot: Slot, content: &[u8], durability: Durability) -> Result<(), StoreError> {
        self.wait_for_the_disk(Write::Append, slot);
        self.0.store.append(slot, content, durability)
    }

    fn set_aside(&self, slot: Slot) -> Result<String, StoreError> {
        self.0.store.set_aside(slot)
    }

    fn lock(&self) -> Result<Box<dyn Send>, StoreError> {
        self.0.store.lock()
    }
}

/// Waits as long as a loop needs that does what it must not, and no longer than that.
fn give_it_time(is_over: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_millis(500);
    while Instant::now() < until && !is_over() {
        thread::sleep(Duration::from_millis(5));
    }
}

/// A handler whose replies are so long that two of them make the journal long enough to be compacted.
fn handler(handled: &Log<String>) -> impl Fn(InboundMessage) -> Result<Option<Reply>, String> + use<> {
    let handled = handled.clone();
    move |message| {
        handled.push(message.text().into_owned());
        Ok(Some(Reply::text("x".repeat(200 * 1024))))
    }
}

fn send(world: &World, id: &molecule_e2e::core::proto::WorkspaceId, text: &str) {
    world.platform(|platform, now| platform.send_user_message(now, id, text)).unwrap();
}

scenario!(what_an_agent_saves_is_not_lost_by_a_write_that_an_earlier_one_left, [Current], |stage| {
    for left in [Write::Append, Write::Replace] {
        let world = stage.world();
        let (id, token) = world.workspace();
        let disk = StuckDisk::new(Storage::Memory.open(&id).unwrap());
        let build = || {
            let storage = Storage::Custom(Arc::new(disk.clone()));
            let setup = world.setup(&id).token(&token).storage(storage);
            // A notice that was under way at the stop is in doubt for longer than a test waits.
            setup.inbox(|inbox| inbox.drain(Duration::from_millis(500))).build().unwrap()
        };
        let handled = Log::default();
        let first = build();
        let running = first.start_with(handler(&handled));
        first.events().wait_for("Online", |event| *event == Event::Online);
        disk.stick(Some(left));
        ["1", "2"].into_iter().for_each(|text| send(&world, &id, text));
        disk.wait_until_a_write_waits();
        running.stop_now();

        let second = build();
        assert_eq!(second.start_with(handler(&handled)).ended().map_err(|error| error.kind()), Err(ErrorKind::Locked));
        disk.stick(None);
        world.wait_until("the write is over", |_| disk.lock().is_ok());
        assert!(!disk.is_overtaken());
        let running = second.start_with(handler(&handled));
        send(&world, &id, "3");
        handled.wait_for("the next message", |text| text == "3");
        running.stop();

        let third = build();
        let running = third.start_with(handler(&handled));
        send(&world, &id, "4");
        handled.wait_for("the last message", |text| text == "4");
        running.stop();
        assert_eq!(handled.all(), ["1", "2", "3", "4"], "{left:?}");
    }
});

scenario!(a_loop_that_follows_one_that_died_waits_for_its_write, [Current], |stage| {
    for left in [Write::Append, Write::Replace] {
        let world = stage.world();
        let (id, token) = world.workspace();
        let disk = StuckDisk::new(Storage::Memory.open(&id).unwrap());
        let setup = world.setup(&id).token(&token).storage(Storage::Custom(Arc::new(disk.clone())));
        let agent = setup.panics_at(Event::Paused).build().unwrap();
        let handled = Log::default();
        let dying = thread::spawn({
            let (agent, handled) = (agent.clone(), handled.clone());
            move || catch_unwind(AssertUnwindSafe(|| agent.run_agent_loop(handler(&handled))))
        });
        agent.events().wait_for("Online", |event| *event == Event::Online);
        disk.stick(Some(left));
        ["1", "2"].into_iter().for_each(|text| send(&world, &id, text));
        disk.wait_until_a_write_waits();
        world.platform(|platform, now| platform.pause(now, &id, false)).unwrap();
        dying.join().unwrap().expect_err("the callback panics");

        let next = agent.start_with(handler(&handled));
        give_it_time(|| disk.is_overtaken());
        disk.stick(None);
        assert_eq!(next.ended().unwrap(), Ended::Paused);
        assert!(!disk.is_overtaken(), "{left:?}");
    }
});
