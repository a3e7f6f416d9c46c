//! Many workspaces over many machines, each in one pair of hands: the machine of one member of a fleet.
//!
//! The platform does not say who runs a workspace: of two processes that register for one, both are served. The members of a
//! fleet agree by themselves, over a [register](StoreOp) that others keep: each key is linearizable, has a revision and a
//! compare-and-set, and keys can be listed. A queue is not needed, for messages stay on the platform.
//!
//! [`Fleet`] decides, and its driver performs: it is polled for [`FleetStep`]s and fed [`StoreOutcome`]s, as every machine of
//! this crate is. It has no session, since a member runs many agents.
//!
//! # How it works
//!
//! | key | holds |
//! |---|---|
//! | `cfg` | what all members must agree on: protocol version, TTL, parts |
//! | `m.<member>` | a member's epoch; its *renewal*, every third of the TTL, is the only write of an idle member |
//! | `c.<workspace>.<part>` | the claim: which member, under which epoch of the member; it carries no time |
//! | `j.<workspace>.<part>` | the journal that one owner hands to the next |
//!
//! A claim counts while its member's key is alive and has the epoch that the claim names. So one write keeps ten thousand claims, and
//! one write, the *fence*, ends them.
//!
//! - A member trusts its claims for 0.8 TTL from the moment **before** its last confirmed renewal was sent. Then it fences itself:
//!   [`FleetEvent::Lost`] for everything it runs, and [`Fleet::may_send`] is false at once, on the clock of whoever asks.
//! - Others fence a member of which they have seen no new revision for 1.1 TTL of an unbroken view of their own, by a
//!   compare-and-set of the revision that they saw. Only when that is confirmed do they take its claims.
//! - A write whose answer is lost is neither done nor failed. A read of the key tells by the nonce (`fleet/write.rs`).
//!
//! # Why no two members act for one claim
//!
//! *While the store keeps what it confirmed.* Let member A act for a claim under the epoch of its key, and let B take the claim.
//! B's compare-and-set names a revision at which the claim was free, or at which B knew a fence of A of the claim's epoch or a later
//! one. If A had released it, A had ended. If A was fenced, the fencer had seen no renewal of A for 1.1 TTL, and no later renewal was
//! stored, for else the fence would have named a wrong revision. So A's last stored renewal is at least 1.1 TTL old, on a clock that
//! is at most 10 % fast, and A's trusted window, which began before that renewal was sent, has been over for a tenth of the TTL at
//! least ([`Rules`] has the arithmetic).
//!
//! *If the store goes back* to an earlier state, as a restored disk does, revisions repeat, and a plain renewal succeeds for a member
//! that had been fenced in the lost part of the history. Two things hold it off. A member that has seen anything of the lost part
//! notices: the first acts after a reconnect are reads, and a lower revision, a repeated one with another nonce or a missing key makes
//! it stand down and come back under a new epoch, which cannot repeat because it is at least the unix time in milliseconds. A member
//! that has seen nothing of it cannot notice, and therefore waits: for a **grace period** of 1.1 TTL after each (re)connect it takes
//! nothing, fences nobody, and does not act again after its window was over. By then whoever trusts something that the store has lost
//! has either reconnected and noticed, or its window is over. This is why a start takes 1.1 TTL. A window that is still open over a
//! reconnect stays open: its member cannot have been fenced. After a window was over, a member acts under a new epoch and takes each of
//! its claims again, so that epochs grow also if the store has lost what others did meanwhile.
//!
//! *If a member or its machine sleeps*, its timers are late. The window is therefore checked before each send, and it is over when
//! either the monotonic or the calendar clock says so. What was sent just before may still arrive: replies have ids that depend on
//! the message alone, so that the platform drops the second one, whoever sends it.
//!
//! *Reads never open the window.* With its majority gone a store may go on to answer reads. A read may only close it.
//!
//! What may happen: a member stands down without need, is replaced while it lives, or is late.

mod clock;
mod link;
mod machine;
mod names;
mod options;
mod pace;
mod plan;
mod record;
mod rules;
mod step;
mod store;
mod table;
mod write;

pub use machine::Fleet;
pub use names::{MemberId, MemberIdError, PartId, part_of};
pub use options::{FleetOptions, OnStoreLoss};
pub use pace::FleetPace;
pub use rules::{Rules, Standard};
pub use step::{FleetError, FleetEvent, FleetStep, OpId, StandDown};
pub use store::{Cas, Revision, StoreEntry, StoreOp, StoreOutcome};
