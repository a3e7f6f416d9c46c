//! An agent's report reaches the platform.

use molecule_e2e::core::Dialect;
use molecule_e2e::core::endpoint::Budget;
use molecule_e2e::core::proto::{AgentCard, WorkspaceStatus};
use molecule_e2e::core::{ErrorKind, Report};
use molecule_e2e::{route, scenario};

scenario!(the_last_value_goes_with_the_next_beat, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let agent = world.agent(&id);
    agent.register().unwrap();
    agent.report(Report::new().active_tasks(7).current_task("reading mail").monthly_spend(1234)).unwrap();
    agent.report(Report::new().active_tasks(2).error_rate(0.75)).unwrap();
    let error = agent.report(Report::new().error_rate(7.0)).unwrap_err();
    crate::assert_told(&error, ErrorKind::Config, "error rate is 7", "between 0 and 1");

    agent.heartbeat().unwrap();
    let view = world.platform(|platform, _| platform.workspace(&id)).unwrap();
    assert_eq!((view.active_tasks, view.last_error_rate, view.status), (2, 0.75, WorkspaceStatus::Degraded));
    let work = world.platform(|platform, _| platform.reported_work(&id)).unwrap();
    assert_eq!(work, ("reading mail".to_owned(), 1234));

    agent.report(Report::new().error_rate(0.0)).unwrap();
    agent.heartbeat().unwrap();
    assert_eq!(agent.poll_state().unwrap().status, Some(WorkspaceStatus::Online));
    assert_eq!(world.count(route::HEARTBEAT), 2);
});

scenario!(what_was_spent_is_taken_off_the_budget, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let agent = world.agent(&id);
    agent.register().unwrap();
    let budget = agent.send(&Budget).unwrap();
    assert_eq!((budget.budget_limit, budget.monthly_spend, budget.budget_remaining), (None, 0, None));

    agent.report(Report::new().monthly_spend(1234)).unwrap();
    agent.heartbeat().unwrap();
    assert!(world.platform(|platform, _| platform.set_budget(&id, Some(2000))));
    let budget = agent.send(&Budget).unwrap();
    assert_eq!((budget.budget_limit, budget.monthly_spend, budget.budget_remaining), (Some(2000), 1234, Some(766)));
    let month = budget.periods.get("monthly").map(|month| (month.limit, month.spend, month.remaining));
    let told = (stage.dialect == Dialect::Current).then_some((Some(2000), 1234, Some(766)));
    assert_eq!((month, budget.periods.len()), (told, if told.is_some() { 4 } else { 0 }));
});

scenario!(a_new_card_replaces_the_old_one_now_and_later, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let agent = world.agent(&id);
    agent.register().unwrap();
    let name = || world.platform(|platform, _| platform.workspace(&id).unwrap().agent_card.unwrap()["name"].clone());
    assert_eq!(name(), "scenario");
    agent.update_card(AgentCard::new("renamed")).unwrap();
    assert_eq!(name(), "renamed");
    agent.register().unwrap();
    assert_eq!(name(), "renamed");
    let error = agent.update_card(AgentCard::new("nul \0 inside")).unwrap_err();
    crate::assert_told(&error, ErrorKind::Config, "U+0000", "remove it");
    assert_eq!(name(), "renamed");
});
