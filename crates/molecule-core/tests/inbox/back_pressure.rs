//! While enough messages wait, the feed is read no further.

use crate::support::*;
/// The pages that were read from a row on.
fn pages(run: &Received) -> usize {
    run.platform.seen.iter().filter(|seen| seen.path.contains("since_id=")).count()
}

/// Adds as many messages, which were written one a second and are older than the trail.
fn add(run: &mut Received, messages: u32) {
    let begin = run.agent.now.unix - secs(10_000);
    for number in 0..messages {
        run.platform.feed.user(begin + Duration::from_secs(number.into()), &number.to_string());
    }
}

#[test]
fn a_thousand_wait_and_the_rest_stays_in_the_feed() {
    let mut run = Received::usual();
    // The first message takes long, and all the others are of the same conversation.
    let mut takes = secs(100);
    run.handler(move |_| Reply::After(std::mem::take(&mut takes), silent()));
    add(&mut run, 1_100);
    run.on(secs(30));
    let read = pages(&run);
    assert!((2..=3).contains(&read), "{read} pages");
    run.on(secs(60));
    assert_eq!(pages(&run), read, "it reads on");
    assert_eq!(run.texts(), ["0"]);
    run.on(secs(30));
    assert_eq!(run.texts(), (1..1_100).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[test]
fn a_thousand_messages_are_handled_without_a_pause() {
    let mut run = Received::usual();
    run.handler(|_| Reply::Now(silent()));
    add(&mut run, 1_000);
    run.on(secs(3));
    let offers = run.offers();
    assert_eq!(offers.len(), 1_000);
    let took = offers[999].at.since(offers[0].at);
    assert!(took < secs(1), "{took:?}");
}
