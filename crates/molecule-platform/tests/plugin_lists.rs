//! The lists of plugins for each caller.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Bench, config};
use molecule_platform::{Dialect, PluginTree};
use molecule_proto::{Token, header, path};

const GOOD: &str = "name: good\nversion: 1.0.0\ndescription: d\n";
const BOTH: [Dialect; 2] = [Dialect::April, Dialect::Current];

fn good(name: &str) -> PluginTree {
    PluginTree::new(name).file("plugin.yaml", GOOD)
}

#[test]
fn lists_are_for_a_runtime_and_tell_where_a_plugin_comes_from() {
    let plugin = |name: &str, runtimes: &str| good(name).file("plugin.yaml", format!("{GOOD}{runtimes}"));
    for dialect in BOTH {
        let mut bench = Bench::new(dialect);
        bench.platform.add_plugin(plugin("hermes-only", "runtimes: [hermes]\n"));
        bench.platform.add_plugin(plugin("claude", "runtimes: [claude_code]\n"));
        bench.platform.add_plugin(plugin("all", ""));
        let (id, token) = bench.create("a");
        let mut names = |path: &str, bearer: Option<&Token>| {
            let (status, body) = bench.get(path, bearer.map(Token::expose));
            assert_eq!(status, 200);
            let rows = body.as_array().unwrap().clone();
            assert_eq!(rows.iter().all(|row| row.get("source").is_some()), dialect == Dialect::Current);
            rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names("/plugins", None), ["all", "claude", "hermes-only"]);
        assert_eq!(names("/plugins?runtime=claude-code", None), ["all", "claude"]);
        assert_eq!(names(&format!("/workspaces/{id}/plugins/available"), Some(&token)), ["all"]);
        let path = format!("/workspaces/{id}/plugins/compatibility");
        assert_eq!(bench.get(&path, Some(token.expose())).0, 400);
        assert!(bench.platform.remove_plugin("all") && !bench.platform.remove_plugin("all"));
        assert_eq!(bench.platform.plugins().map(PluginTree::name).collect::<Vec<_>>(), ["claude", "hermes-only"]);
    }
}

#[test]
fn lists_need_no_database_and_downloads_do() {
    for dialect in BOTH {
        let mut bench = Bench::new(dialect);
        let (id, token) = bench.create("a");
        bench.platform.add_plugin(good("good"));
        bench.platform.set_database_down(true);
        assert_eq!(bench.get("/plugins", None).0, 200);
        assert_eq!(bench.get("/plugins/sources", None).0, 200);
        let path = path::plugin_download(&id, &"good".parse().unwrap(), None);
        let (status, _) = bench.get(&path, Some(token.expose()));
        assert_eq!(status, 401);
    }
}

#[test]
fn a_tenants_plugins_are_behind_its_gate() {
    let organisation = "11111111-2222-4333-8444-555555555555";
    let with = |dialect| config(dialect).organisation(organisation.to_owned());
    for dialect in BOTH {
        let mut bench = Bench::with(with(dialect));
        assert_eq!(bench.get("/plugins", None).0, if dialect == Dialect::April { 404 } else { 400 });
        let request = http::Request::get("/plugins").header(header::ORG_ID, organisation);
        let answer = bench.platform.handle(bench.now, None, request.body(bytes::Bytes::new()).unwrap());
        assert_eq!(answer.ready().unwrap().status(), 200);
    }
}
