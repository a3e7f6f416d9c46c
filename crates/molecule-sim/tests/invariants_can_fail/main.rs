//! Every invariant notices its mistake: a saboteur makes it in worlds that are otherwise fine.

#![allow(clippy::unwrap_used)]

mod both_ways;
mod careless;
mod clumsy;
mod deaf;
mod direct;
mod forgetful;
mod greedy;
mod mistaken;
mod serving;
mod talkative;

use std::io::Write;

use molecule_sim::campaign::made_up;
use molecule_sim::{
    JobKind, Saboteur, Scenario, ServerSetup, auto, direct as directly, library, pushed, run_sabotaged, scenario,
};

/// Runs scenarios, the kept ones first, until one breaks this invariant.
fn breaks<S: Saboteur + 'static>(invariant: &str, mistake: &str, saboteur: impl Fn(JobKind) -> Option<S>) {
    breaks_in(|_| true, invariant, mistake, saboteur);
}

/// Runs the scenarios whose agents receive messages until one breaks this invariant.
fn breaks_receiving<S: Saboteur + 'static>(invariant: &str, mistake: &str, saboteur: impl Fn(JobKind) -> Option<S>) {
    let receives = |scenario: &Scenario| scenario.setup.agents.iter().any(|agent| agent.handler.is_some());
    breaks_in(receives, invariant, mistake, saboteur);
}

/// Runs scenarios of agents with servers of their own, whose servers make the mistake, until one breaks this invariant.
fn breaks_serving<S: Saboteur + 'static>(invariant: &str, mistake: &str, saboteur: impl Fn() -> S) {
    let serves = with(|_| true);
    let saboteur = |kind| (kind == JobKind::Serve).then(&saboteur);
    breaks_among(serves, made_up(pushed(), 3).take(400), invariant, mistake, saboteur);
}

/// Runs scenarios of agents that clients and direct peers ask, whose servers make the mistake, until one breaks this invariant.
fn breaks_asked<S: Saboteur + 'static>(invariant: &str, mistake: &str, saboteur: impl Fn() -> S) {
    let saboteur = |kind| (kind == JobKind::Serve).then(&saboteur);
    breaks_among(with(|server| server.peer_tokens), made_up(directly(), 3).take(400), invariant, mistake, saboteur);
}

/// Runs scenarios of agents that poll while they cannot be reached, until one breaks this invariant.
fn breaks_auto<S: Saboteur + 'static>(invariant: &str, mistake: &str, saboteur: impl Fn(JobKind) -> Option<S>) {
    breaks_among(with(|server| server.auto), made_up(auto(), 3).take(200), invariant, mistake, saboteur);
}

/// Chooses the scenarios that have an agent with such a server.
fn with(is_such: impl Fn(&ServerSetup) -> bool) -> impl Fn(&Scenario) -> bool {
    move |scenario| scenario.setup.agents.iter().filter_map(|agent| agent.server.as_ref()).any(&is_such)
}

fn breaks_in<S: Saboteur + 'static>(
    which: impl Fn(&Scenario) -> bool,
    invariant: &str,
    mistake: &str,
    saboteur: impl Fn(JobKind) -> Option<S>,
) {
    breaks_among(which, made_up(scenario(), 3).take(400), invariant, mistake, saboteur);
}

/// The worlds that showed each mistake last, one in a line. They are tried first, since a search takes minutes.
const FOUND: &str = include_str!("found.txt");

fn breaks_among<S: Saboteur + 'static>(
    which: impl Fn(&Scenario) -> bool,
    random: impl Iterator<Item = Scenario>,
    invariant: &str,
    mistake: &str,
    saboteur: impl Fn(JobKind) -> Option<S>,
) {
    let saboteur = |kind| saboteur(kind).map(|saboteur| Box::new(saboteur) as Box<dyn Saboteur>);
    let kept = library::all().unwrap().into_iter().filter(|(name, _)| !name.starts_with("two-hundred-agents"));
    let random = random.enumerate().map(|(number, scenario)| (format!("made up {number}"), scenario));
    let told = |world: &str| format!("{invariant}: {mistake}: {world}");
    let is_hint = |world: &str| FOUND.lines().any(|line| line == told(world));
    let worlds = kept.chain(random).filter(|(_, scenario)| which(scenario));
    let (hints, others): (Vec<_>, Vec<_>) = worlds.partition(|(world, _)| is_hint(world));
    for (world, scenario) in hints.into_iter().chain(others) {
        let Some(broken) = run_sabotaged(&scenario, &saboteur).broken else { continue };
        if broken.name == invariant && broken.why.contains(mistake) {
            if !is_hint(&world) {
                let _ = writeln!(std::io::stderr(), "found.txt may say: {}", told(&world));
            }
            return;
        }
    }
    panic!("no world shows that {invariant} is broken: {mistake}");
}

/// Puts the saboteur in front of the loop only.
fn of_the_loop<S>(saboteur: impl Fn() -> S) -> impl Fn(JobKind) -> Option<S> {
    move |kind| (kind == JobKind::Run).then(&saboteur)
}

/// Puts the saboteur in front of calls of peers only.
fn of_peers<S>(saboteur: impl Fn() -> S) -> impl Fn(JobKind) -> Option<S> {
    move |kind| matches!(kind, JobKind::CallPeer(_)).then(&saboteur)
}

/// Puts the saboteur in front of every machine.
fn of_all<S>(saboteur: impl Fn() -> S) -> impl Fn(JobKind) -> Option<S> {
    move |_| Some(saboteur())
}

#[test]
fn without_a_saboteur_nothing_breaks() {
    struct Nobody;
    impl Saboteur for Nobody {}
    let saboteur = |_| Some(Box::new(Nobody) as Box<dyn Saboteur>);
    for scenario in made_up(scenario(), 3).take(20) {
        assert_eq!(run_sabotaged(&scenario, &saboteur).broken, None);
    }
}

#[test]
fn no_token_is_lost() {
    breaks("no token is lost", "it ends and has not stored", of_all(|| clumsy::ForgetsToStore));
    breaks("no token is lost", "the token is not stored", of_all(|| clumsy::ForgetsToStore));
    breaks("no token is lost", "before it stores it comes", of_all(clumsy::StoresLast::default));
    breaks("no token is lost", "something else than the token", of_all(|| clumsy::StoresRubbish));
    breaks("no token is lost", "what no answer brought", of_all(clumsy::StoresUnasked::default));
    breaks("no token is lost", "nobody was told", of_all(|| talkative::HidesWarnings));
    breaks("no token is lost", "nothing says how to recover", of_all(|| talkative::HidesRemedies));
}

#[test]
fn lost_tokens_are_told_of() {
    breaks("lost tokens are told of", "nothing said how to recover", of_all(|| talkative::HidesRemedies));
}

#[test]
fn what_is_sent_once_is_sent_alive() {
    breaks("what is sent once is sent alive", "onto a dead connection", of_peers(|| deaf::ToSilence));
}

#[test]
fn one_request_per_lane() {
    breaks("one request per lane", "is under way", of_the_loop(greedy::AsksTwice::default));
}

#[test]
fn heartbeats_keep_their_pace() {
    breaks("heartbeats keep their pace", "between", of_the_loop(|| deaf::Dawdles));
    breaks("heartbeats keep their pace", "no heartbeat for", of_the_loop(deaf::Sleeps::default));
}

#[test]
fn the_heartbeat_comes_first() {
    let name = "the heartbeat comes first";
    breaks_receiving(name, "comes before the heartbeat", of_the_loop(greedy::RunsAhead::default));
}

#[test]
fn within_budget_and_backoff() {
    let name = "within budget and backoff";
    breaks(name, "before the rate limit ends", of_the_loop(|| deaf::ToRetryAfter));
    breaks(name, "before the window refills", of_the_loop(|| deaf::ToTheBudget));
    breaks(name, "failures", of_the_loop(greedy::Impatient::default));
    breaks(name, "requests within a minute", of_the_loop(greedy::Impatient::default));
    for (asks, url) in [
        ("a read of the feed", "include=peer_info"),
        ("a look for a notice", "source=canvas"),
        ("an acknowledgement", "/activity/ack"),
        ("the reply to", "/notify"),
        ("the reply to", "/a2a"),
        ("the event stream", "/events/stream"),
    ] {
        breaks_receiving(name, asks, of_the_loop(|| greedy::Impatient::on(url)));
    }
    breaks(name, "is sent for the", |kind| (kind == JobKind::Secrets).then(greedy::Impatient::default));
    breaks(name, "before the server's Retry-After", |kind| (kind == JobKind::Secrets).then(greedy::Impatient::default));
}

#[test]
fn the_loop_ends_for_a_reason() {
    let name = "the loop ends for a reason";
    breaks(name, "it ended deleted", of_the_loop(mistaken::TakesA404ForADeletion::default));
    breaks(name, "twice and an interval apart", of_the_loop(mistaken::BelievesAtOnce::default));
    breaks(name, "three times, an interval apart", of_the_loop(mistaken::CountsEvery401::default));
    breaks(name, "it ended paused", of_the_loop(mistaken::EndsAtOnce::as_paused));
    breaks(name, "it ended stopped", of_the_loop(mistaken::EndsAtOnce::as_stopped));
    breaks(name, "it ended unauthorized", of_the_loop(mistaken::EndsAtOnce::as_unauthorized));
    breaks(name, "was stopped and goes on", of_the_loop(mistaken::NeverEnds::default));
}

#[test]
fn never_registers_while_paused() {
    breaks("never registers while paused", "a paused workspace", of_all(|| mistaken::OverlooksAPause));
}

#[test]
fn nothing_is_done_twice() {
    let of_recovery = |kind| matches!(kind, JobKind::Recover { .. }).then(greedy::Impatient::default);
    breaks("nothing is done twice", "again, after", of_recovery);
}

#[test]
fn the_bearer_stays_at_home() {
    let of_recovery = |kind| (kind == JobKind::Recover { admin: true }).then(greedy::KeepsItsCredential::default);
    breaks("the bearer stays at home", "the administrator's credential", of_recovery);
    breaks("the bearer stays at home", "login.example.net", of_all(greedy::FollowsRedirects::default));
    let name = "the bearer stays at home";
    breaks(name, "a peer is told authorization", of_peers(greedy::KeepsItsCredential::default));
    breaks(name, "was never published", of_peers(|| careless::KnocksElsewhere));
    breaks(name, "in the message who sends it", of_peers(careless::TellsItsName::default));
    let tells_the_platform = |kind| matches!(kind, JobKind::CallPeer(_)).then_some(careless::TellsThePlatform);
    breaks_among(
        with(|server| server.peer_tokens),
        made_up(directly(), 3).take(400),
        name,
        "the platform is told",
        tells_the_platform,
    );
}

#[test]
fn no_secret_is_printed() {
    breaks("no secret is printed", "a secret of 43 characters", of_all(talkative::QuotesTheBearer::default));
}

#[test]
fn every_start_ends_once() {
    let name = "every start ends once";
    breaks(name, "is started twice", of_all(clumsy::AsksTheHostTwice::default));
    breaks(name, "the lock is still held", of_the_loop(|| clumsy::KeepsTheLock));
    breaks(name, "never ended", of_all(|| deaf::ToLimits));
    breaks(name, "is cancelled twice", of_all(clumsy::CancelsTwice::default));
    breaks(name, "is not under way", of_all(clumsy::CancelsWhatEnded::default));
    breaks(name, "nobody had cancelled it", of_the_loop(|| clumsy::Disowns));
}

#[test]
fn steps_are_bounded() {
    breaks("steps are bounded", "more than 64 steps", of_all(|| mistaken::NeverRests));
    breaks("steps are bounded", "it rests for ever", of_all(|| mistaken::ForgetsItsWake));
    breaks("steps are bounded", "wants to be woken", of_all(|| mistaken::WakesAtOnce));
}

#[test]
fn online_again_soon() {
    let name = "online again soon";
    breaks(name, "the platform shows Some(Offline)", of_the_loop(deaf::GivesUp::default));
    breaks(name, "as its work", of_the_loop(|| mistaken::ReportsNothing));
    breaks(name, "the loop should have ended", of_the_loop(|| mistaken::OverlooksA401));
}

#[test]
fn no_doubles() {
    let name = "no doubles";
    breaks(name, "again, after", of_peers(greedy::Impatient::default));
    breaks(name, "twice", of_peers(careless::ChangesItsMind::default));
    breaks(name, "and before it sent", of_peers(careless::Rewrites::the_message));
    breaks(name, "under the key", |kind| (kind == JobKind::Delegate).then(careless::Rewrites::the_key));
}

#[test]
fn peers_are_where_they_were_said_to_be() {
    let name = "peers are where they were said to be";
    let forgetful = careless::RemembersForEver::default();
    breaks(name, "ago was said to be at", of_peers(move || forgetful.clone()));
    let stubborn = careless::Insists::default();
    breaks(name, "and refused that", of_peers(move || stubborn.clone()));
}

#[test]
fn calls_end_in_time_and_truthfully() {
    let name = "calls end in time and truthfully";
    breaks(name, "goes on after its limit", of_peers(mistaken::NeverEnds::default));
    breaks(name, "it says: not delivered", of_peers(careless::Mishears::a_refusal));
    breaks(name, "the same call may be made again", of_peers(careless::Mishears::a_failed_lookup));
    let of_waits = |kind| matches!(kind, JobKind::WaitQueueItem(_)).then_some(careless::GivesTheQueueUp);
    breaks(name, "it waited for Failed", of_waits);
}

#[test]
fn every_message_reaches_the_handler() {
    let name = "every message reaches the handler";
    breaks_receiving(name, "never reached the handler", of_the_loop(forgetful::OverlooksTheFirst::default));
}

#[test]
fn nothing_overtakes() {
    breaks_receiving("nothing overtakes", "which came first", of_the_loop(forgetful::OverlooksTheFirst::default));
}

#[test]
fn the_cursor_passes_nothing() {
    breaks_receiving("the cursor passes nothing", "is not handled", of_the_loop(forgetful::OverlooksTheFirst::default));
}

#[test]
fn attempts_are_bounded() {
    breaks_receiving("attempts are bounded", "for the 4th time", of_the_loop(|| forgetful::KeepsNoJournal));
}

#[test]
fn one_id_for_a_reply() {
    breaks_receiving("one id for a reply", "and had", of_the_loop(forgetful::RenamesReplies::default));
}

#[test]
fn answered_is_what_may_be() {
    let name = "answered is what may be";
    breaks_receiving(name, "nobody reads that", of_the_loop(forgetful::Misreads::webhooks));
    breaks_receiving(name, "is a reply, and is answered", of_the_loop(forgetful::Misreads::replies));
}

#[test]
fn exchanges_end() {
    breaks_receiving("exchanges end", "by the 10th reply in a row", of_the_loop(forgetful::Misreads::hops));
}

#[test]
fn notices_come_once() {
    breaks_receiving("notices come once", "for the 2th time", of_the_loop(forgetful::NotifiesTwice::default));
}

#[test]
fn no_reply_is_lost() {
    let silent = || forgetful::TellsNobody { claims: false };
    breaks_receiving("no reply is lost", "reached nobody", of_the_loop(silent));
}

#[test]
fn replies_reach_their_peers() {
    let name = "replies reach their peers";
    breaks_receiving(name, "nothing said why", of_the_loop(|| forgetful::TellsNobody { claims: false }));
    breaks_receiving(name, "said to be delivered", of_the_loop(|| forgetful::TellsNobody { claims: true }));
    let to_a_server = of_the_loop(|| forgetful::TellsNobody { claims: true });
    breaks_among(with(|_| true), made_up(directly(), 3).take(400), name, "said to be delivered", to_a_server);
}

#[test]
fn dead_letters_wait_for_a_retry() {
    let name = "dead letters wait for a retry";
    breaks_receiving(name, "which nobody asked for", of_the_loop(|| forgetful::KeepsNoJournal));
    breaks_receiving(name, "never reached the handler again", of_the_loop(forgetful::LeavesTheDead::default));
}

#[test]
fn nobody_is_served_without_the_credential() {
    breaks_serving("nobody is served without the credential", "is answered 200", || serving::OpensTheDoor);
}

#[test]
fn platform_turns_get_no_text() {
    breaks_serving("platform turns get no text", "is answered", || serving::Chats);
}

#[test]
fn one_answer_to_a_message() {
    breaks_serving("one answer to a message", "was answered", serving::Rephrases::default);
}

#[test]
fn cut_once() {
    breaks_serving("cut once", "a second time", || serving::CutsAgain);
}

#[test]
fn accepted_is_handled() {
    breaks_serving("accepted is handled", "no handler had it", || serving::SaysYes);
}

#[test]
fn handled_once() {
    breaks_serving("handled once", "is handled again", || serving::Forgets);
}

#[test]
fn pushed_callers_get_the_text() {
    breaks_serving("pushed callers get the text", "gets no text", || both_ways::SaysNothing);
}

#[test]
fn polls_only_while_unreachable() {
    let name = "polls only while unreachable";
    breaks_auto(name, "no check has failed", of_the_loop(both_ways::MishearsChecks::default));
    breaks_auto(name, "nothing has shown it", of_the_loop(both_ways::CriesAllClear::default));
    breaks_auto(name, "the platform reaches the server", of_all(|| both_ways::NeverComesBack));
}

#[test]
fn nothing_is_lost_between_push_and_feed() {
    let name = "nothing is lost between push and feed";
    breaks_auto(name, "was never offered", of_the_loop(forgetful::OverlooksTheFirst::default));
}

#[test]
fn senders_are_proven() {
    breaks_asked("senders are proven", "is said to be from", || direct::MixesUpPeers);
}

#[test]
fn a_peers_token_is_good_for_calls_alone() {
    let name = "nobody is served without the credential";
    breaks_asked(name, "a peer's call of /internal", || direct::TrustsPeersWithFiles);
}

#[test]
fn tasks_are_told_truly() {
    let name = "tasks are told truly";
    breaks_asked(name, "is not found by whoever began it", || serving::Forgets);
    breaks_asked(name, "to somebody else than whoever began it", direct::ShowsTasksToAll::default);
    breaks_asked(name, "is cancelled, and is working", || direct::RevivesTasks);
    breaks_asked(name, "is handled, and its task was cancelled", direct::CancelsInWordsAlone::default);
    breaks_asked(name, "was not told that the task is cancelled", direct::CancelsInWordsAlone::default);
    breaks_asked(name, "messages, and", || direct::TellsAll);
}

#[test]
fn files_are_stored_whole() {
    breaks_asked("files are stored whole", "the disk has not what was sent", || direct::SaysStored);
}
