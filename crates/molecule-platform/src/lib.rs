//! The Molecule AI platform in memory: a test double for remote agents, in both dialects of the server.
//!
//! [`Platform`] is a state machine. It takes requests and the current time and returns answers. It has no clock,
//! sockets, files or threads, and its randomness comes from [`Config::seed`], so that a run can be repeated exactly.
//! [`serve()`] binds one to a loopback port, where any client can connect to it.
//!
//! ```
//! use bytes::Bytes;
//! use molecule_platform::{Config, Dialect, Now, Platform};
//!
//! let mut platform = Platform::new(Config::new(Dialect::Current));
//! let now = Now::default();
//! let (id, token) = platform.create_workspace(now, "my-agent");
//!
//! let request = http::Request::get(molecule_proto::path::state(&id))
//!     .header(http::header::AUTHORIZATION, token.bearer())
//!     .body(Bytes::new())?;
//! let answer = platform.handle(now, None, request).ready().expect("the state route answers at once");
//! assert_eq!(answer.status(), 200);
//! # Ok::<(), http::Error>(())
//! ```
//!
//! # Testing an agent of yours
//!
//! Serve a platform on a loopback port, run your agent against it, act as the workspace's owner in code, and inspect
//! the requests that the agent sent. [`Server::inject`] delays, replaces or drops the server's answers.
//! [`Server::wait_for`] waits for the requests that a test expects, so that the test needs no sleep.
//!
//! ```
//! use std::time::Duration;
//!
//! use molecule_blocking::{Agent, Ended, Storage};
//! use molecule_platform::{Config, Dialect, Platform, serve};
//!
//! for dialect in [Dialect::April, Dialect::Current] {
//!     let server = serve(Platform::new(Config::new(dialect)), "127.0.0.1:0")?;
//!     let (id, token) = server.with(|platform, now| platform.create_workspace(now, "mine"));
//!
//!     let agent = Agent::builder(server.url(), &id)
//!         .token(token.expose())
//!         .storage(Storage::Memory)
//!         .heartbeat_interval(Duration::from_millis(20))
//!         .state_interval(Duration::from_millis(20))
//!         .build()?;
//!     let running = std::thread::spawn(move || agent.run_heartbeat_loop());
//!
//!     let beats = |requests: &[molecule_platform::serve::Seen]| {
//!         requests.iter().filter(|request| request.path == "/registry/heartbeat").count()
//!     };
//!     assert!(server.wait_for(|requests| beats(requests) >= 3, Duration::from_secs(10)));
//!     server.with(|platform, now| platform.pause(now, &id, false)).expect("it runs");
//!     assert_eq!(running.join().expect("no panic")?, Ended::Paused);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Plugins
//!
//! A platform serves the plugins that a test adds: a folder as a plain value ([`PluginTree`],
//! [`Platform::add_plugin`]), a directory of plugins on disk ([`serve::load_plugins`]), or the content of a repository
//! ([`Platform::add_plugin_at`]). It checks and packs plugins as the server does, so that your installer gets the same
//! archives and the same errors.
//!
//! ```
//! use std::io::{Read, Write};
//!
//! use flate2::read::GzDecoder;
//! use molecule_platform::{Config, Dialect, Platform, PluginTree, serve};
//! use molecule_proto::path;
//!
//! let mut platform = Platform::new(Config::new(Dialect::Current));
//! platform.add_plugin(
//!     PluginTree::new("molecule-dev")
//!         .file("plugin.yaml", "name: molecule-dev\nversion: 1.0.0\ndescription: Says hello.\n")
//!         .file("skills/hello/SKILL.md", "Say hello.\n")
//!         .executable("setup.sh", "#!/bin/bash\necho ready\n"),
//! );
//! let server = serve(platform, "127.0.0.1:0")?;
//! let (id, token) = server.with(|platform, now| platform.create_workspace(now, "mine"));
//!
//! // The first steps of an installer, in as few lines as possible.
//! let mut stream = std::net::TcpStream::connect(server.addr())?;
//! let path = path::plugin_download(&id, &"molecule-dev".parse()?, None);
//! let bearer = token.expose();
//! write!(stream, "GET {path} HTTP/1.0\r\nAuthorization: Bearer {bearer}\r\n\r\n")?;
//! let mut answer = Vec::new();
//! stream.read_to_end(&mut answer)?;
//! let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head ends so");
//!
//! let mut archive = tar::Archive::new(GzDecoder::new(&answer[head + 4..]));
//! let names: Vec<_> = archive.entries()?.map(|entry| Ok(entry?.path()?.into_owned())).collect::<std::io::Result<_>>()?;
//! let expected = ["plugin.yaml", "setup.sh", "skills", "skills/hello", "skills/hello/SKILL.md"];
//! assert_eq!(names, expected.map(std::path::PathBuf::from));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is modelled
//!
//! The life of a remote agent and the acts of its owner: health, register, heartbeat, update-card, the open view,
//! state, secrets, plugins, creation, pause, resume, deletion, rotation and tokens, with the statuses, liveness limits,
//! rate limit, tenant gate and unusual answers of each dialect. The exchange between agents: discovery, peers and who
//! may talk to whom, messages to poll and push agents, the queue of busy agents, delegations, broadcasts, messages to
//! the user, and the feeds in which all of it is logged. What an inbox needs: pages of the feed and their
//! acknowledgement, the event stream, files that wait for an agent, requests, the chat history, files and schedules
//! that are handed on to push agents, and, by methods of the
//! owner, messages of people, channels and webhooks and the turns that the platform itself gives to an agent. Recordings of the real servers are replayed against it. If
//! neither a recording nor the contract says what the server does, the code says so.
//!
//! Where the model is simpler than the server: it prunes no feed by itself ([`Platform::prune_activity`]), makes nudges,
//! probes, greetings and runs of schedules only when it is asked to, and as often; an event stream has no events of
//! approvals, sweeps, hibernation and resumes; a stop of [`Server`] ends open streams at once.
//!
//! A route that is not modelled gets the same answer as a route that does not exist: 404 with the text `404 page not
//! found`.
//!
//! # Testing an inbox
//!
//! The owner's acts put every form of row in the agent's feed:
//!
//! ```
//! use std::time::Duration;
//! use molecule_platform::{ChannelMessage, Config, Dialect, Now, Platform};
//!
//! let mut platform = Platform::new(Config::new(Dialect::Current));
//! let now = Now::default();
//! let (agent, _token) = platform.create_workspace(now, "agent");
//! platform.set_rows_late(Duration::from_secs(12)); // rows become visible late, in any order
//! platform.send_user_message(now, &agent, "hello");
//! platform.send_channel_message(now, &agent, ChannelMessage::new("telegram", "42", "hello"));
//! platform.nudge(now, &agent); // comes with the next idle heartbeat
//! ```
//!
//! # A history that can be repeated
//!
//! Everything that happens to a platform is an [`Input`], and [`Platform::step`] applies one. [`serve_with`] tells a
//! [`Front`](serve::Front) of each, with its time and the [`Step`] that came of it. A [`Recorded`] is an input as a line of
//! JSON, with a [`Digest`] of the step: the lines are a history that another platform of the same [`Config`] repeats.
//!
//! ```
//! use molecule_platform::{Act, Config, Dialect, Input, Now, Platform, Recorded};
//!
//! let config = Config::new(Dialect::Current).seed(7);
//! let mut platform = Platform::new(config.clone());
//! let input = Input::Act(Act::CreateWorkspace { name: "mine".to_owned(), url: None, parent: None });
//! let step = platform.step(Now::default(), input.clone());
//! let line = serde_json::to_string(&Recorded::new(Now::default(), input).digest(step.digest()))?;
//!
//! let recorded: Recorded = serde_json::from_str(&line)?;
//! let digest = recorded.digest.clone();
//! assert_eq!(Some(recorded.replay(&mut Platform::new(config)).digest()), digest);
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! # Driving it yourself
//!
//! The platform answers a message to a push agent later. Until then it asks its driver to call the agent:
//!
//! ```
//! use bytes::Bytes;
//! use molecule_platform::{Answer, Config, Dialect, Now, Platform, Turn};
//! use molecule_proto::{Message, RpcRequest, path};
//!
//! let mut platform = Platform::new(Config::new(Dialect::Current));
//! let now = Now::default();
//! let (sender, token) = platform.create_workspace(now, "sender");
//! let (agent, agents_token) = platform.create_workspace(now, "agent");
//! let register = serde_json::json!({"id": agent, "url": "http://localhost:9/a2a", "delivery_mode": "push", "agent_card": {}});
//! let request = http::Request::post(path::REGISTER).header("authorization", agents_token.bearer());
//! let registered = platform.handle(now, None, request.body(Bytes::from(register.to_string()))?);
//! assert_eq!(registered.ready().expect("answered at once").status(), 200);
//!
//! let call = serde_json::to_vec(&RpcRequest::send("1", Message::text("hello").with_id("m-1")))?;
//! let request = http::Request::post(path::a2a(&agent)).header("authorization", token.bearer());
//! let Answer::Later(ticket) = platform.handle(now, None, request.body(Bytes::from(call))?) else { panic!("it waits") };
//! let Turn::Dispatch(id, request) = platform.poll(now) else { panic!("the agent is called") };
//! assert_eq!(request.uri(), "http://localhost:9/a2a");
//!
//! let reply = Bytes::from_static(br#"{"jsonrpc":"2.0","id":"1","result":{"parts":[{"kind":"text","text":"hi"}]}}"#);
//! platform.dispatched(now, id, Ok(http::Response::new(reply.clone())));
//! let Turn::Answer(answered, response) = platform.poll(now) else { panic!("it is answered") };
//! assert_eq!((answered, response.body()), (ticket, &reply));
//! # let _ = sender;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod a2a;
mod access;
mod act;
mod answer;
mod auth;
mod config;
mod delegation;
mod dispatch;
mod feed;
mod gate;
mod input;
mod inspect;
mod json;
mod multipart;
mod outside;
mod owner;
mod platform;
mod platform_turns;
mod plugin;
mod random;
mod rate;
mod record;
mod reply;
mod requests;
mod route_name;
mod router;
mod routes;
pub mod serve;
mod streams;
mod sweep;
mod tokens;
mod uploads;
mod url_rules;
mod urls;
mod wire;
mod workspace;

pub use act::{Act, Acted};
pub use answer::{Answer, DispatchId, Ticket, Turn};
pub use config::{Config, Resolver};
pub use dispatch::DispatchFault;
pub use input::{Input, Step};
pub use inspect::{Queued, Uploaded};
pub use outside::{ChannelMessage, Webhook};
pub use owner::{CreateRefused, PauseRefused, ResumeRefused};
pub use platform::Platform;
pub use plugin::{Entry, PluginTree, SourceRefused};
pub use random::credentials;
pub use record::{Digest, Recorded, at};
pub use requests::RequestKind;
pub use route_name::RouteName;
pub use serve::{Server, serve, serve_with};
pub use streams::STREAM_ROOM;
pub use tokens::TokenKind;

pub use molecule_proto::{Dialect, Now, Token, Wake};

/// The programs of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
