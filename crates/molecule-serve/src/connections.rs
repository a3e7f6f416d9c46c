//! The open connections: how many there are, of whom, and which one has to make room.
//!
//! Nobody is turned away while there is room to be made. Above the limit of all connections the listener accepts no further one, so
//! that newcomers wait in the system's queue; above the limit of one address a newcomer waits for a place of that address. Room
//! is made by closing what is idle: first who had a last answer, then who waits for a place, then who connected or began a request and
//! does not get on with it, then the oldest of those that were served before. The last are the platform's, whose next message is delayed if it crosses the close. Where nobody is
//! idle, the next answer says that its connection is closed.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::place::{Place, State};

/// How long a new connection may say nothing, or a request take to come to the end of its head, before it has to make room for
/// another one.
const FRESH: Duration = Duration::from_secs(1);

/// How often the listener looks whether room can be made, if nothing happens meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The open connections of one server. Clones are the same table.
#[derive(Clone)]
pub(crate) struct Connections(Arc<Shared>);

struct Shared {
    most: usize,
    most_of_an_address: usize,
    table: Mutex<Table>,
    /// Connections may have to leave after their answers, since others wait. While nobody does, no answer looks into the table.
    is_pressed: AtomicBool,
    /// Says that a connection has left.
    left: Notify,
}

#[derive(Default)]
struct Table {
    entries: BTreeMap<u64, Entry>,
    /// The number of connections of each address that have a place.
    places: BTreeMap<IpAddr, usize>,
    /// The number of those that wait for one.
    waiting: usize,
    entered: u64,
    /// A newcomer waits until there is room.
    is_short: bool,
    is_closing: bool,
}

struct Entry {
    address: IpAddr,
    place: Arc<Place>,
}

impl Connections {
    pub(crate) fn new(most: usize, most_of_an_address: usize) -> Self {
        let (most, most_of_an_address) = (most.max(1), most_of_an_address.max(1));
        let (table, is_pressed, left) = (Mutex::default(), AtomicBool::new(false), Notify::new());
        Self(Arc::new(Shared { most, most_of_an_address, table, is_pressed, left }))
    }

    /// Waits until there is room for one more, and makes it if that is possible.
    pub(crate) async fn room(&self) {
        loop {
            let left = self.0.left.notified();
            {
                let mut table = self.lock();
                table.is_short = table.entries.len() >= self.0.most;
                if !table.is_short {
                    return;
                }
                if table.lacks_room() {
                    table.make_room(|_| true);
                }
            }
            // A connection that was told to leave does so at once; a new one may be silent for a while.
            let _ = timeout(LOOK_AGAIN, left).await;
        }
    }

    /// Closes one idle connection, if there is one.
    pub(crate) fn make_room(&self) {
        self.lock().make_room(|_| true);
    }

    /// Enters a connection from this address.
    pub(crate) fn enter(&self, address: IpAddr) -> Slot {
        let address = of_one_owner(address);
        let mut table = self.lock();
        let is_over = table.of(address) >= self.0.most_of_an_address;
        if is_over {
            table.make_room(|entry| entry.address == address && entry.place.state() != State::Waiting);
        }
        let state = if is_over { State::Waiting } else { State::Fresh };
        if is_over {
            table.waiting += 1;
        } else {
            *table.places.entry(address).or_default() += 1;
        }
        let place = Arc::new(Place::new(state));
        table.entered += 1;
        let id = table.entered;
        table.entries.insert(id, Entry { address, place: Arc::clone(&place) });
        Slot { connections: self.clone(), id, place }
    }

    /// Closes what is idle now, and the others after their answer.
    pub(crate) fn close(&self) {
        let mut table = self.lock();
        table.is_closing = true;
        let idle = table.entries.iter().filter(|(_, entry)| entry.place.state() < State::Busy);
        let idle: Vec<u64> = idle.map(|(id, _)| *id).collect();
        idle.into_iter().for_each(|id| table.tell_to_leave(id));
    }

    /// Waits until nobody is connected.
    pub(crate) async fn all_left(&self) {
        loop {
            let left = self.0.left.notified();
            if self.lock().entries.is_empty() {
                return;
            }
            left.await;
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().entries.is_empty()
    }

    fn lock(&self) -> Locked<'_> {
        let table = self.0.table.lock().unwrap_or_else(PoisonError::into_inner);
        Locked { table, is_pressed: &self.0.is_pressed }
    }
}

/// The table while it is locked. Its end says whether others wait.
struct Locked<'a> {
    table: MutexGuard<'a, Table>,
    is_pressed: &'a AtomicBool,
}

impl Deref for Locked<'_> {
    type Target = Table;

    fn deref(&self) -> &Table {
        &self.table
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Table {
        &mut self.table
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let Table { is_short, is_closing, waiting, .. } = *self.table;
        self.is_pressed.store(is_short || is_closing || waiting > 0, Ordering::SeqCst);
    }
}

impl Table {
    /// The number of connections of an address that have a place.
    fn of(&self, address: IpAddr) -> usize {
        self.places.get(&address).copied().unwrap_or_default()
    }

    /// Whether a newcomer waits for room, and nobody leaves.
    fn lacks_room(&self) -> bool {
        self.is_short && !self.entries.values().any(|entry| entry.place.state() == State::Leaving)
    }

    /// Whether more of an address wait for a place than leave.
    fn lacks_places(&self, address: IpAddr) -> bool {
        if self.waiting == 0 {
            return false;
        }
        let in_state = |state| {
            let entries = self.entries.values();
            entries.filter(|entry| entry.place.state() == state && entry.address == address).count()
        };
        in_state(State::Waiting) > in_state(State::Leaving)
    }

    /// Has the first of the idle connections leave, if there is one among these.
    fn make_room(&mut self, among: impl Fn(&Entry) -> bool) {
        let idle = self.entries.iter().filter(|(_, entry)| entry.is_idle() && among(entry));
        if let Some(id) = idle.min_by_key(|(_, entry)| entry.place.in_order()).map(|(id, _)| *id) {
            self.tell_to_leave(id);
        }
    }

    fn tell_to_leave(&mut self, id: u64) {
        let Some(entry) = self.entries.get(&id) else { return };
        if entry.place.tell(State::Leaving) == State::Waiting {
            // From here on it counts as one that has a place, and leaves it.
            self.waiting -= 1;
            *self.places.entry(entry.address).or_default() += 1;
        }
    }

    fn remove(&mut self, id: u64) -> Option<IpAddr> {
        let entry = self.entries.remove(&id)?;
        if entry.place.state() == State::Waiting {
            self.waiting -= 1;
        } else if let Some(places) = self.places.get_mut(&entry.address) {
            *places -= 1;
            if *places == 0 {
                self.places.remove(&entry.address);
            }
        }
        Some(entry.address)
    }

    /// Gives a place to the first of an address that waits for one, if there is one now.
    fn let_in(&mut self, address: IpAddr, most_of_an_address: usize) {
        if self.waiting == 0 || self.of(address) >= most_of_an_address {
            return;
        }
        let mut waiting = self.entries.values().filter(|entry| entry.place.state() == State::Waiting);
        if let Some(entry) = waiting.find(|entry| entry.address == address) {
            entry.place.tell(State::Fresh);
            self.waiting -= 1;
            *self.places.entry(address).or_default() += 1;
        }
    }
}

impl Entry {
    fn is_idle(&self) -> bool {
        match self.place.state() {
            State::Over | State::Waiting | State::Idle => true,
            State::Fresh => self.place.lasted() >= FRESH,
            State::Busy | State::Leaving => false,
        }
    }
}

/// The place of a connection in the table. It leaves when this is dropped.
pub(crate) struct Slot {
    connections: Connections,
    id: u64,
    place: Arc<Place>,
}

impl Slot {
    /// Waits until the connection has a place, and returns whether it got one.
    pub(crate) async fn is_let_in(&self, patience: Duration) -> bool {
        let told = poll_fn(|cx| match self.place.poll_state(cx) {
            State::Waiting => Poll::Pending,
            State::Over | State::Fresh | State::Idle | State::Busy => Poll::Ready(true),
            State::Leaving => Poll::Ready(false),
        });
        timeout(patience, told).await.unwrap_or(false)
    }

    /// Says that a request has begun.
    pub(crate) fn begins(&self) {
        self.place.change(State::Fresh);
    }

    /// Says that the head of a request is here.
    pub(crate) fn busy(&self) {
        self.place.change(State::Busy);
    }

    /// Says that the connection has its last answer.
    pub(crate) fn over(&self) {
        self.place.change(State::Over);
    }

    /// Says that the request is answered. Returns whether the connection stays open.
    pub(crate) fn idle(&self) -> bool {
        let stays = !self.leaves_after_answer();
        if stays {
            self.place.change(State::Idle);
        }
        stays
    }

    /// Whether the connection is closed after the answer, because it has to or because others wait.
    pub(crate) fn leaves_after_answer(&self) -> bool {
        if self.place.state() == State::Leaving {
            return true;
        }
        if !self.connections.0.is_pressed.load(Ordering::SeqCst) {
            return false;
        }
        let table = self.connections.lock();
        let Some(entry) = table.entries.get(&self.id) else { return true };
        if entry.place.state() == State::Leaving || table.is_closing {
            return true;
        }
        let is_wanted = table.lacks_room() || table.lacks_places(entry.address);
        if is_wanted {
            entry.place.change(State::Leaving);
        }
        is_wanted
    }

    /// Waits until the connection has to leave.
    pub(crate) async fn told_to_leave(&self) {
        poll_fn(|cx| self.poll_told_to_leave(cx)).await;
    }

    pub(crate) fn poll_told_to_leave(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self.place.poll_state(cx) {
            State::Leaving => Poll::Ready(()),
            State::Over | State::Waiting | State::Fresh | State::Idle | State::Busy => Poll::Pending,
        }
    }

    #[cfg(test)]
    fn state(&self) -> State {
        self.place.state()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let most = self.connections.0.most_of_an_address;
        let mut table = self.connections.lock();
        if let Some(address) = table.remove(self.id) {
            table.let_in(address, most);
        }
        drop(table);
        self.connections.0.left.notify_waiters();
    }
}

/// The address by which connections are counted. Whoever has one address of IPv6 has 2^64 of them.
fn of_one_owner(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn is_told(slot: &Slot) -> bool {
        slot.state() == State::Leaving
    }

    #[tokio::test(start_paused = true)]
    async fn above_the_limit_the_oldest_idle_connection_makes_room() {
        let connections = Connections::new(3, 3);
        let slots = [A, B, A].map(|address| connections.enter(address));
        slots.iter().for_each(Slot::busy);
        advance(Duration::from_secs(1)).await;
        assert!(slots[2].idle());
        advance(Duration::from_secs(1)).await;
        assert!(slots[1].idle());
        let [first, second, third] = slots;
        let room = tokio::spawn({
            let connections = connections.clone();
            async move { connections.room().await }
        });
        third.told_to_leave().await;
        assert!(!is_told(&first) && !is_told(&second));
        assert!(!room.is_finished());
        drop(third);
        room.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_makes_room_before_who_was_served() {
        let connections = Connections::new(9, 9);
        let (served, silent) = (connections.enter(A), connections.enter(B));
        served.busy();
        assert!(served.idle());
        connections.make_room();
        assert!(is_told(&served), "a new connection has a second to say something");
        let served = connections.enter(A);
        served.busy();
        assert!(served.idle());
        advance(FRESH).await;
        connections.make_room();
        assert!(is_told(&silent) && !is_told(&served));
        let (slow, over) = (connections.enter(B), connections.enter(B));
        slow.begins();
        over.over();
        advance(FRESH).await;
        connections.make_room();
        assert!(is_told(&over) && !is_told(&slow));
        connections.make_room();
        assert!(is_told(&slow) && !is_told(&served), "a head that does not come to its end");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_busy_makes_no_room() {
        let connections = Connections::new(1, 1);
        let slot = connections.enter(A);
        slot.busy();
        assert!(timeout(Duration::from_secs(60), connections.room()).await.is_err());
        assert!(!is_told(&slot));
        assert!(slot.leaves_after_answer(), "but it says with its answer that it leaves");
        drop(slot);
        connections.room().await;
    }

    #[tokio::test(start_paused = true)]
    async fn above_the_limit_of_an_address_a_connection_waits_for_a_place() {
        let connections = Connections::new(10, 2);
        let (first, second) = (connections.enter(A), connections.enter(A));
        first.busy();
        second.busy();
        let (third, other) = (connections.enter(A), connections.enter(B));
        assert!(other.is_let_in(Duration::ZERO).await, "another address has places of its own");
        assert!(!third.is_let_in(Duration::from_secs(5)).await);
        drop(third);
        let third = connections.enter(A);
        drop(first);
        assert!(third.is_let_in(Duration::ZERO).await);
        assert!(second.idle());
        let fourth = connections.enter(A);
        assert!(is_told(&second) && !is_told(&third), "the idle one of the address makes room");
        drop(second);
        assert!(fourth.is_let_in(Duration::ZERO).await);
        third.busy();
        fourth.busy();
        let fifth = connections.enter(A);
        assert!(third.leaves_after_answer() && !fourth.leaves_after_answer(), "one place is enough for one");
        drop(third);
        assert!(fifth.is_let_in(Duration::ZERO).await && fourth.idle());
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_closes_what_is_idle_and_the_others_after_their_answer() {
        let connections = Connections::new(10, 10);
        let (idle, busy) = (connections.enter(A), connections.enter(A));
        busy.busy();
        connections.close();
        idle.told_to_leave().await;
        assert!(!is_told(&busy) && busy.leaves_after_answer() && !busy.idle());
        drop(idle);
        assert!(timeout(Duration::from_secs(1), connections.all_left()).await.is_err());
        drop(busy);
        connections.all_left().await;
    }

    #[test]
    fn an_owner_is_one_address_or_one_network() {
        let of = |address: &str| of_one_owner(address.parse().unwrap()).to_string();
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
