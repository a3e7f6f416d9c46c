//! A stop does not wait for a server that does not answer.

use std::time::Duration;

use molecule_e2e::core::proto::Token;
use molecule_e2e::core::{Ended, Event};
use molecule_e2e::platform::Dialect;
use molecule_e2e::platform::serve::Action;
use molecule_e2e::{route, scenario};

/// The documentation promises 100 ms. This limit is longer, because other tests run on the machine at the same time;
/// the measured time is printed.
const GENEROUS: Duration = Duration::from_millis(500);
const ROUNDS: usize = 8;

scenario!(a_stop_ends_the_loop_while_both_lanes_wait, [April, Current], |stage| {
    let world = stage.world();
    let mut figures: Vec<Duration> = Vec::new();
    for _ in 0..ROUNDS {
        let id = world.open_workspace();
        let agent = world.agent(&id);
        let (states, beats) = (world.count(route::STATE), world.count(route::HEARTBEAT));
        let _state = world.stall(route::STATE);
        let _beat = world.stall(route::HEARTBEAT);
        let running = agent.start();
        world.wait_for_count(route::STATE, states + 1);
        world.wait_for_count(route::HEARTBEAT, beats + 1);
        figures.push(running.stop());
    }
    report(&format!("{:?} against {:?}, stop", stage.facade, stage.dialect), figures);
});

scenario!(a_stop_ends_the_loop_while_its_first_look_waits, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let agent = world.agent(&id);
    let _view = world.stall(id.as_str());
    let running = agent.start();
    world.wait_for_count(id.as_str(), 1);
    report(&format!("{:?} against {:?}, stop during the view", stage.facade, stage.dialect), vec![running.stop()]);
});

scenario!(a_stop_waits_for_a_register_that_mints, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let agent = world.agent(&id);
    let held = world.rule(route::REGISTER, Action::StallAnswer);
    let running = agent.start();
    world.wait_for_count(route::REGISTER, 1);
    agent.stopper().stop();
    // On April's server the second register mints, and it is not sent any more.
    held.end();
    assert_eq!(running.ended().unwrap(), Ended::Stopped);
    let live = world.platform(|platform, _| platform.live_tokens(&id));
    let stored = world.home().token(&id);
    assert_eq!(live, usize::from(stored.is_some()), "what was minted is stored");
    if let Some(token) = stored {
        assert!(world.platform(|platform, _| platform.is_live(&id, &Token::new(&token).unwrap())));
    }
    assert_eq!(live, usize::from(stage.dialect == Dialect::Current));
    assert_eq!(agent.events().count(|event| *event == Event::Online), 0);
});

scenario!(stop_now_waits_for_nothing, [April, Current], |stage| {
    let world = stage.world();
    let mut figures: Vec<Duration> = Vec::new();
    for _ in 0..ROUNDS {
        let id = world.open_workspace();
        let agent = world.agent(&id);
        let before = world.count(route::REGISTER);
        let _register = world.stall(route::REGISTER);
        let running = agent.start();
        world.wait_for_count(route::REGISTER, before + 1);
        figures.push(running.stop_now());
    }
    report(&format!("{:?} against {:?}, stop_now during register", stage.facade, stage.dialect), figures);
});

scenario!(a_second_stop_waits_for_nothing_either, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let agent = world.agent(&id);
    let _register = world.stall(route::REGISTER);
    let running = agent.start();
    world.wait_for_count(route::REGISTER, 1);
    agent.stopper().stop();
    running.assert_running();
    assert!(running.stop() < GENEROUS);
});

#[allow(clippy::print_stdout, reason = "the figure is for people; the runner shows it with --nocapture")]
fn report(what: &str, mut figures: Vec<Duration>) {
    figures.sort();
    let (least, median, most) = (figures[0], figures[figures.len() / 2], figures[figures.len() - 1]);
    println!("{what}: {least:?} to {most:?}, median {median:?}, of {}", figures.len());
    assert!(most < GENEROUS, "{what}: {most:?}");
}
