//! Options that make no sense are refused before anything is sent or stored.

use molecule_e2e::core::{ErrorKind, OriginHeader};
use molecule_e2e::scenario;

use crate::assert_told;

scenario!(a_platform_url_that_cannot_be_one, [Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    for (url, cause, remedy) in [
        ("remote://no-inbound", "scheme", "https://your-platform.example.com"),
        ("ftp://host.example", "scheme", "https://your-platform.example.com"),
        ("host.example", "no scheme", "https://your-platform.example.com"),
        ("", "empty", "https://your-platform.example.com"),
        ("https://user:hunter2@host.example", "user info", "https://your-platform.example.com"),
        ("http://user:hunter2@127.0.0.1:9", "user info", "https://your-platform.example.com"),
        ("http://host.example", "in clear", "allow_insecure_http"),
    ] {
        let error = world.setup(&id).platform(url).build().unwrap_err();
        assert_told(&error, ErrorKind::Config, cause, remedy);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    assert!(!world.home().agent(&id).exists());
});

scenario!(an_id_that_is_none, [Current], |stage| {
    let world = stage.world();
    for id in ["", "my-agent", "../../etc/cron.d", "/etc", "7fda77bf-a467-441c-9fab-7d8aba8e604", "x\0"] {
        let error = world.setup_for(id).build().unwrap_err();
        assert_told(&error, ErrorKind::Config, "workspace id", "copy the id");
    }
    assert_eq!(world.home().path().read_dir().unwrap().count(), 0);
    assert_eq!(world.count(""), 0);
});

scenario!(an_id_in_another_spelling_is_the_same, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let agent = world.setup_for(&format!(" {} ", id.as_str().to_uppercase())).build().unwrap();
    assert_eq!(agent.workspace_id(), id);
    agent.register().unwrap();
    assert!(world.home().token(&id).is_some());
});

scenario!(a_reported_url_or_an_origin_that_is_none, [Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let error = world.setup(&id).reported_url("remote://no-inbound").build().unwrap_err();
    assert_told(&error, ErrorKind::Config, "reported URL", "http(s) URL");
    let agent = world.agent(&id);
    let error = agent.set_reported_url(Some("https://user:hunter2@agent.example".to_owned())).unwrap_err();
    assert_told(&error, ErrorKind::Config, "user info", "none to poll");
    let error = world.setup(&id).origin(OriginHeader::Explicit("nonsense".to_owned())).build().unwrap_err();
    assert_told(&error, ErrorKind::Config, "no scheme", "such as");
    assert_eq!(world.count(""), 0);
});

scenario!(a_certificate_authority_that_is_none, [Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    for pem in ["", "no certificate", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
        let setup = world.setup(&id).platform("https://127.0.0.1:9").extra_ca(pem.into());
        let error = setup.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{pem:?}");
        assert!(error.to_string().contains("certificate"), "{error}");
    }
});

scenario!(options_that_contradict_each_other, [Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let error = world.setup(&id).given_client().build().unwrap_err();
    assert_told(&error, ErrorKind::Config, "client(…) is given and no_proxy() too", "leave one of them out");
});

scenario!(a_peers_id_that_is_none_is_told_under_the_calls_operation, [Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    for (error, operation) in [
        (agent.call_peer("nobody", "hello").unwrap_err(), "call peer"),
        (agent.delegate("nobody", "work").unwrap_err(), "delegate"),
    ] {
        assert_told(&error, ErrorKind::Config, "\"nobody\" is not valid", "use the id that the list of peers shows");
        assert_eq!(error.operation(), operation);
        assert!(error.to_string().starts_with(&format!("{operation} failed: ")), "{error}");
    }
    assert_eq!(world.count(""), 0);
});
