//! The names of the SDK's calls, and the program's for the same.

/// A name in the SDK's sentences, and the program's. Longer names stand before those that they contain.
const WORDS: &[(&str, &str)] = &[
    ("token(…), or MOLECULE_WORKSPACE_TOKEN and from_env()", "MOLECULE_WORKSPACE_TOKEN, or --token-file"),
    ("token(…), or set MOLECULE_WORKSPACE_TOKEN and use from_env()", "MOLECULE_WORKSPACE_TOKEN, or --token-file"),
    (
        "token(…), or set MOLECULE_WORKSPACE_TOKEN and build with from_env() or or_env()",
        "MOLECULE_WORKSPACE_TOKEN, or --token-file",
    ),
    ("org_id(…), or set MOLECULE_ORG_ID and build with from_env() or or_env()", "--org, or MOLECULE_ORG_ID"),
    ("the builder's, or MOLECULE_WORKSPACE_ID with from_env()", "--workspace, or WORKSPACE_ID"),
    (" (Error::idempotency_key, Delegation::idempotency_key)", " (--key)"),
    (" (Error::message_id, Message::with_id)", ""),
    ("; store_given_token(false) says that it is not to be stored", ""),
    ("with storage(Storage::Dir(…)) or MOLECULE_HOME,", "with --home or MOLECULE_HOME,"),
    ("with storage(Storage::Memory) or MOLECULE_HOME=:memory:", "with --home :memory:"),
    ("storage(…), or set MOLECULE_HOME to", "--home, or set MOLECULE_HOME to"),
    ("storage(…) or MOLECULE_HOME", "--home or MOLECULE_HOME"),
    ("or give the inbox the backlog FromNow", "or give --backlog none"),
    ("origin(…) and MOLECULE_ORIGIN", "MOLECULE_ORIGIN"),
    ("origin(OriginHeader::Off)", "MOLECULE_ORIGIN=off"),
    ("in proxy(…), or call no_proxy()", "in HTTPS_PROXY"),
    (", or call no_proxy()", ", or unset HTTPS_PROXY"),
    ("HTTPS_PROXY or proxy(…)", "HTTPS_PROXY"),
    ("client(…) is given and {option} too", "a client is given and {option} too"),
    ("allow_insecure_http()", "--allow-insecure-http"),
    ("allow_unauthenticated()", "--allow-unauthenticated"),
    ("url(…) with the URL", "--url with the URL"),
    ("url(…)", "--url"),
    ("with bind(…)", "with --push"),
    ("DownloadTo::max_bytes(…)", "a larger limit"),
    ("DownloadTo::replace()", "another name"),
    ("see available_plugins() for what it holds", "see `molecule plugins available` for what it holds"),
    ("`Installed::tree_sha256` of an install", "the output of `molecule plugins install`"),
    ("list them with dead_letters()", "list them with `molecule inbox dead`"),
    ("with call_peer, or to the user with notify", "with `molecule call`, or to the user with `molecule send`"),
    ("; choose one with plugins_dir(…)", "; give --home"),
    (" without and_continue()", ""),
    ("check reported_url(…), or MOLECULE_REPORTED_URL", "check --url"),
    ("the feature rustls of molecule-serve, or leave tls(…) out and end TLS at a proxy", "a proxy that ends TLS"),
    ("files (`Storage::Dir`)", "a directory (--home)"),
    ("peer_token(…)", "the token for a peer"),
    ("start a server, and register", "run it with --push"),
    ("recover with an admin credential", "run `molecule recover --admin-token-file FILE`"),
    ("recover once more, with an admin credential", "run `molecule recover --admin-token-file FILE`"),
];

/// Returns a sentence of the SDK with the program's names.
pub(crate) fn spoken(sentence: &str) -> String {
    WORDS.iter().fold(sentence.to_owned(), |text, (sdk, own)| text.replace(sdk, own))
}
