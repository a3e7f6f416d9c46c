//! The download of a plugin and its refusals, in the order of the server's checks.

#![allow(clippy::unwrap_used)]

mod common;

use common::{ADMIN, Bench, error};
use molecule_platform::{Dialect, PluginTree, SourceRefused};
use molecule_proto::{Token, WorkspaceId};
use serde_json::{Value, json};

const GOOD: &str = "name: good\nversion: 1.0.0\ndescription: d\n";
const BOTH: [Dialect; 2] = [Dialect::April, Dialect::Current];

fn good(name: &str) -> PluginTree {
    PluginTree::new(name).file("plugin.yaml", GOOD)
}

struct Asker {
    bench: Bench,
    id: WorkspaceId,
    token: Token,
}

impl Asker {
    fn new(dialect: Dialect) -> Self {
        let mut bench = Bench::new(dialect);
        let (id, token) = bench.create("a");
        bench.platform.add_plugin(good("good"));
        Self { bench, id, token }
    }

    /// The status and the body of a refusal; the body of an archive is `null`.
    fn download(&mut self, name: &str, source: Option<&str>) -> (u16, Value) {
        let (status, body) = self.archive(name, source);
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    fn archive(&mut self, name: &str, source: Option<&str>) -> (u16, bytes::Bytes) {
        let source = source.map(|source| format!("?source={source}")).unwrap_or_default();
        let path = format!("/workspaces/{}/plugins/{name}/download{source}", self.id);
        let request = http::Request::get(path).header("authorization", self.token.bearer());
        let answer = self.bench.platform.handle(self.bench.now, None, request.body(bytes::Bytes::new()).unwrap());
        let answer = answer.ready().unwrap();
        (answer.status().as_u16(), answer.into_body())
    }
}

fn of_source(error: &str, source: &str) -> Value {
    json!({"error": error, "source": source})
}

#[test]
fn a_name_that_leaves_its_folder_is_refused_between_the_two_looks_at_the_bearer() {
    for dialect in BOTH {
        let mut asker = Asker::new(dialect);
        for name in ["a..b", "a%5Cb", ".."] {
            assert_eq!(asker.download(name, None), (400, error("invalid plugin name")), "{name}");
        }
        let path = format!("/workspaces/{}/plugins/a..b/download", asker.id);
        assert_eq!(asker.bench.get(&path, Some(ADMIN)), (400, error("invalid plugin name")));
        assert_eq!(asker.bench.get(&path, None), (401, error("missing workspace auth token")));
        let path = format!("/workspaces/{}/plugins/good/download", asker.id);
        assert_eq!(asker.bench.get(&path, Some(ADMIN)), (401, error("invalid workspace auth token")));
        assert_eq!(asker.download("a%2Fb", None).0, 404);
    }
}

#[test]
fn a_source_is_judged_before_it_is_fetched() {
    for dialect in BOTH {
        let mut asker = Asker::new(dialect);
        assert_eq!(asker.download("good", Some("local://")), (400, error("invalid plugin source")));
        assert_eq!(asker.download("good", Some("local%3A%2F%2Fa%2Fb")), (400, error("invalid plugin name")));
        assert_eq!(asker.download("good", Some("https://x")).1["error"], "failed to resolve plugin source");
        assert_eq!(asker.download("good", Some("LOCAL://good")).0, 400);
        assert_eq!(asker.download("good", Some("")).0, 200);
        assert_eq!(asker.download("good", Some("good")).0, 200);
        assert_eq!(asker.download("a+b", Some("a+b")).1, of_source("failed to fetch plugin from local", "local://a b"));
        assert_eq!(asker.download("x", Some("github://acme/x")).0, 422);
    }
}

#[test]
fn a_plugin_that_another_name_is_asked_for_is_checked_before_the_names_are_compared() {
    for dialect in BOTH {
        let mut asker = Asker::new(dialect);
        asker.bench.platform.add_plugin(PluginTree::new("bad").file("manifest.json", "{"));
        let (status, body) = asker.download("other", Some("bad"));
        assert_eq!((status, body["error"].as_str()), (422, Some("plugin manifest integrity check failed")));
        let (status, body) = asker.download("other", Some("good"));
        assert_eq!((status, &body["resolved_name"], &body["requested_name"]), (400, &json!("good"), &json!("other")));
        assert_eq!(asker.download("other", Some("missing")).0, 404);
    }
}

#[test]
fn a_plugin_of_more_than_100_mib_is_too_large() {
    for dialect in BOTH {
        let mut asker = Asker::new(dialect);
        // The next check fails, so that the test need not pack the plugin.
        let full = PluginTree::new("full").file("manifest.json", "{").file("rest", vec![0; (100 << 20) - 1]);
        asker.bench.platform.add_plugin(full.clone());
        assert_eq!(asker.download("full", None).0, 422);
        asker.bench.platform.add_plugin(full.file("drop", "x"));
        let refusal = of_source("staged plugin exceeds size limit", "local://full");
        assert_eq!(asker.download("full", None), (413, refusal));
    }
}

#[test]
fn only_the_current_server_looks_into_the_manifest() {
    for (manifest, violation) in [
        ("name: a\ndescription: d\n", "at /: missing property 'version'"),
        ("name: a\nversion: 1.0\ndescription: d\n", "at /version: got number, want string"),
        ("name: a\nname: b\n", "plugin.yaml is not valid YAML: the key \"name\" stands twice"),
    ] {
        for dialect in BOTH {
            let mut asker = Asker::new(dialect);
            asker.bench.platform.add_plugin(PluginTree::new("bad").file("plugin.yaml", manifest));
            let (status, body) = asker.download("bad", None);
            match dialect {
                Dialect::April => assert_eq!(status, 200),
                Dialect::Current => {
                    assert_eq!((status, &body["violations"]), (422, &json!([violation])));
                    assert_eq!(body["source"], "local://bad");
                }
            }
        }
    }
}

#[test]
fn a_link_to_a_file_arrives_as_a_file_on_aprils_server_alone() {
    let names = |asker: &mut Asker| {
        let (status, body) = asker.archive("linked", None);
        assert_eq!(status, 200);
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(body.as_ref()));
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            (String::from_utf8(entry.path_bytes().into_owned()).unwrap(), entry.header().mode().unwrap())
        });
        entries.collect::<Vec<_>>()
    };
    for dialect in BOTH {
        let mut asker = Asker::new(dialect);
        asker.bench.platform.add_plugin(PluginTree::new("linked").file("a", "text").link("b", "a"));
        let mut expected = vec![("a".to_owned(), 0o644)];
        if dialect == Dialect::April {
            expected.push(("b".to_owned(), 0o755));
        }
        assert_eq!(names(&mut asker), expected);
    }
}

#[test]
fn a_link_in_place_of_the_digest_is_followed_on_aprils_server_alone() {
    for dialect in BOTH {
        let mut asker = Asker::new(dialect);
        asker.bench.platform.add_plugin(good("linked").file("a", "no JSON").link("manifest.json", "a"));
        let status = asker.download("linked", None).0;
        assert_eq!(status, if dialect == Dialect::April { 422 } else { 200 });
    }
}

#[test]
fn a_source_elsewhere_is_what_was_put_there() {
    for dialect in BOTH {
        let mut asker = Asker::new(dialect);
        let tree = good("whatever").file(".git/HEAD", "").file("nested/.git/HEAD", "");
        asker.bench.platform.add_plugin_at("github://acme/my-plugin#v1", tree.clone()).unwrap();
        assert_eq!(asker.download("my-plugin", Some("github://acme/my-plugin%23v1")).0, 200);
        let missing = of_source("failed to fetch plugin from github", "github://acme/my-plugin#v2");
        assert_eq!(asker.download("my-plugin", Some("github://acme/my-plugin%23v2")), (404, missing));
        let malformed = of_source("failed to fetch plugin from github", "github://acme#v2");
        assert_eq!(asker.download("my-plugin", Some("github://acme%23v2")), (502, malformed));
        assert_eq!(asker.download("whatever", Some("github://acme/my-plugin%23v1")).1["resolved_name"], "my-plugin");

        let gitea = "gitea://acme/plugins/deep/my-plugin#tag:v1";
        let put = asker.bench.platform.add_plugin_at(gitea, tree);
        assert_eq!(put, if dialect == Dialect::Current { Ok(()) } else { Err(SourceRefused::Scheme) });
        let (status, _) = asker.download("my-plugin", Some("gitea://acme/plugins/deep/my-plugin%23tag:v1"));
        assert_eq!(status, if dialect == Dialect::Current { 200 } else { 400 });
        // None of the plugins is in the registry.
        assert_eq!(asker.bench.get("/plugins", None).1.as_array().unwrap().len(), 1);
    }
}

#[test]
fn a_whole_repository_is_given_out_without_its_history() {
    let mut asker = Asker::new(Dialect::Current);
    let tree = || good("x").file(".git/HEAD", "").file("nested/.git/HEAD", "");
    let paths = |asker: &mut Asker, source: &str| {
        let (_, body) = asker.archive("x", Some(source));
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(body.as_ref()));
        let entries = archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string());
        entries.filter(|path| path.contains("HEAD")).collect::<Vec<_>>()
    };
    asker.bench.platform.add_plugin_at("gitea://acme/x#v1", tree()).unwrap();
    assert_eq!(paths(&mut asker, "gitea://acme/x%23v1"), ["nested/.git/HEAD"]);
    asker.bench.platform.add_plugin_at("gitea://acme/all/x#v1", tree()).unwrap();
    assert_eq!(paths(&mut asker, "gitea://acme/all/x%23v1"), [".git/HEAD", "nested/.git/HEAD"]);
}

#[test]
fn what_the_server_would_not_fetch_cannot_be_put_there() {
    let mut bench = Bench::new(Dialect::Current);
    for (source, refused) in [
        ("github://acme/x", SourceRefused::Unpinned),
        ("github://acme/x#", SourceRefused::Repository),
        ("github://acme/x#-v1", SourceRefused::Repository),
        ("github://acme/x/y#v1", SourceRefused::Repository),
        ("gitea://acme#v1", SourceRefused::Repository),
        ("gitea://acme/x/../y#v1", SourceRefused::Repository),
        ("gitea://acme/x\n#v1", SourceRefused::Repository),
        ("local://x", SourceRefused::Scheme),
        ("x", SourceRefused::Scheme),
        ("ftp://acme/x#v1", SourceRefused::Scheme),
        ("GITHUB://acme/x#v1", SourceRefused::Scheme),
        ("", SourceRefused::Scheme),
    ] {
        assert_eq!(bench.platform.add_plugin_at(source, good("x")), Err(refused), "{source:?}");
    }
}

#[test]
fn an_install_into_a_container_fetches_and_then_finds_none() {
    let april = Asker::new(Dialect::April);
    let managed = |mut bench: Bench| {
        bench.platform.add_plugin(good("good"));
        let (_, body) = bench.post("/workspaces", Some(ADMIN), &json!({"name": "m", "runtime": "hermes"}));
        (bench, body["id"].as_str().unwrap().to_owned())
    };
    for (mut bench, id) in [(april.bench, april.id.to_string()), managed(Bench::new(Dialect::Current))] {
        let path = format!("/workspaces/{id}/plugins");
        let mut post = |body: &Value| bench.post(&path, Some(ADMIN), body);
        let none = (503, error("workspace container not running"));
        assert_eq!(post(&json!({"source": "good"})), none);
        assert_eq!(post(&json!({"source": "local://missing"})).0, 404);
        assert_eq!(post(&json!({})), (400, error("invalid request body")));
        assert_eq!(post(&json!({"source": "x".repeat(64 << 10)})), (400, error("invalid request body")));
        let (status, body) = post(&json!({"source": "good", "sha256": "0"}));
        let text = body["error"].as_str().unwrap();
        let digest = text.rsplit(' ').next().unwrap().to_owned();
        assert_eq!((status, digest.len()), (422, 64), "{text}");
        assert_eq!(post(&json!({"source": "good", "sha256": digest})), none);
        assert_eq!(bench.send("DELETE", &format!("{path}/good"), Some(ADMIN), ""), none);
        let (status, body) = bench.send("DELETE", &format!("{path}/a..b"), Some(ADMIN), "");
        assert_eq!((status, body), (400, error("invalid plugin name")));
        assert_eq!(bench.get(&path, Some(ADMIN)), (200, json!([])));
    }
}
