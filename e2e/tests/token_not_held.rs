//! The platform minted a token before, and the agent does not have it.

use molecule_e2e::core::proto::Token;
use molecule_e2e::core::{ErrorKind, Event, Recovered, Recovery, TokenUse};
use molecule_e2e::platform::Dialect;
use molecule_e2e::scenario;

const ADMIN: &str = "admin-credential-of-the-scenario";

scenario!(register_says_what_to_do_and_an_admin_credential_recovers, [April, Current], |stage| {
    let world = stage.world_with(|config| config.admin_token = Token::new(ADMIN).ok());
    let (id, lost) = world.workspace();
    let agent = world.agent(&id);

    let error = agent.register().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TokenNotHeld);
    let told = error.to_string();
    let shown_first = told.find("MOLECULE_WORKSPACE_TOKEN").unwrap() < told.find("admin").unwrap();
    assert!(shown_first && told.contains("token shown when the workspace was created"), "{told}");
    assert_eq!(world.home().token(&id), None);

    let recovered = agent.recover(Recovery::admin(ADMIN).unwrap()).unwrap();
    let lost_lives = world.platform(|platform, _| platform.is_live(&id, &lost));
    match stage.dialect {
        Dialect::April => assert_eq!((recovered, lost_lives), (Recovered::Minted { old_revoked: false }, true)),
        Dialect::Current => assert_eq!((recovered, lost_lives), (Recovered::Rotated, false)),
    }
    let stored = Token::new(&world.home().token(&id).unwrap()).unwrap();
    assert!(world.platform(|platform, _| platform.is_live(&id, &stored)));
    assert_eq!(agent.events().count(|event| *event == Event::TokenChanged), 1);
    assert_eq!(agent.register().unwrap().token, TokenUse::Held);
    assert!(agent.pull_secrets().unwrap().is_empty());
});

scenario!(a_wrong_admin_credential_changes_nothing, [April, Current], |stage| {
    let world = stage.world_with(|config| config.admin_token = Token::new(ADMIN).ok());
    let (id, lost) = world.workspace();
    let agent = world.agent(&id);
    let error = agent.recover(Recovery::admin("guessed").unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.to_string().contains("check the admin credential"), "{error}");
    assert!(!error.to_string().contains("guessed"), "{error}");
    assert!(world.platform(|platform, _| platform.is_live(&id, &lost)));
    assert_eq!(world.home().token(&id), None);
});

scenario!(an_agent_renews_its_own_token, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let agent = world.agent(&id);
    agent.register().unwrap();
    let old = Token::new(&world.home().token(&id).unwrap()).unwrap();

    let recovered = agent.recover(Recovery::Own).unwrap();
    match stage.dialect {
        Dialect::April => assert_eq!(recovered, Recovered::Minted { old_revoked: true }),
        Dialect::Current => assert_eq!(recovered, Recovered::Rotated),
    }
    assert!(!world.platform(|platform, _| platform.is_live(&id, &old)));
    assert_eq!(world.platform(|platform, _| platform.live_tokens(&id)), 1);
    assert_ne!(world.home().token(&id).unwrap(), old.expose());
    assert!(agent.pull_secrets().unwrap().is_empty());
});
