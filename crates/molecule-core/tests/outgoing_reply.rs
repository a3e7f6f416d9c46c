//! A reply or a notice that the platform could not store or show is refused before anything is kept or sent.

#![allow(clippy::unwrap_used)]

use molecule_core::proto::{FileContent, Message, Part};
use molecule_core::{ErrorKind, Notice, OutgoingFile, Reply};
use serde_json::json;

#[test]
fn a_reply_is_made_of_whatever_a_handler_has() {
    assert_eq!(Reply::from("x"), Reply::text("x"));
    assert_eq!(Reply::from("x".to_owned()), Reply::text("x"));
    assert_eq!(Reply::from(Part::data(7)), Reply::none().with_part(Part::data(7)));
    let message = Message::text("x").with_id("mine").with_metadata("k", 1);
    assert_eq!(Reply::from(message), Reply::text("x").with_metadata("k", 1));
    assert!(Reply::none().is_none() && Reply::new([]).is_none() && Reply::none().with_metadata("k", 1).is_none());
    assert!(!Reply::text("").is_none() && !Reply::none().attach("a").is_none());
    assert!(!Reply::text("x").is_continued() && Reply::text("x").and_continue().is_continued());
    let files =
        ["a".into(), "b".to_owned().into(), std::path::Path::new("c").into(), std::path::PathBuf::from("d").into()];
    let reply: Reply = files.into_iter().fold(Reply::none(), |reply, file: OutgoingFile| reply.attach(file));
    assert_eq!(reply.files(), ["a", "b", "c", "d"].map(OutgoingFile::at));
}

#[test]
fn u_0000_is_refused_wherever_it_stands() {
    let text = "a\0b";
    for reply in [
        Reply::text(text),
        Reply::text("x").with_part(Part::data(json!({"a": [text]}))),
        Reply::text("x").with_part(Part::data(json!({text: 1}))),
        Reply::text("x").with_part(Part::text("y").with_metadata("k", text)),
        Reply::text("x").with_part(FileContent::at("https://h/f").name(text)),
        Reply::text("x").with_metadata("k", text),
        Reply::text("x").with_metadata(text, "v"),
        Reply::text("x").attach(text),
        Reply::text("x").attach(OutgoingFile::at("a").name(text)),
        Reply::text("x").attach(OutgoingFile::at("a").mime_type(text)),
        Reply::text("x").attach(OutgoingFile::uri("https://h/a\0b")),
    ] {
        let error = reply.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("U+0000"), "{error}");
        assert!(!error.to_string().contains("a\0b"));
    }
    Reply::text("a\\u0000b").check().unwrap();
    assert!(Notice::new(text).check().unwrap_err().to_string().contains("U+0000"));
}

#[test]
fn a_file_that_nobody_can_open_is_refused() {
    for uri in ["https://h/f", "HTTP://h/f", "platform-pending:a/b", "workspace:/a", "file:///workspace/a"] {
        Reply::none().attach(OutgoingFile::uri(uri)).check().unwrap();
    }
    for uri in ["javascript:alert(1)", "data:text/html,x", "", " ", "a.txt", ":"] {
        let error = Reply::none().attach(OutgoingFile::uri(uri)).check().unwrap_err();
        assert!(error.to_string().contains("scheme"), "{error}");
        assert!(Notice::new("x").attach(OutgoingFile::uri(uri)).check().is_err());
    }
    assert!(Reply::none().attach("").check().is_err());
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt as _;
        let path = std::path::Path::new(std::ffi::OsStr::from_bytes(b"/tmp/\xff"));
        assert!(Reply::none().attach(path).check().unwrap_err().to_string().contains("Unicode"));
    }
}

#[test]
fn an_empty_notice_is_refused() {
    assert!(Notice::new("").check().unwrap_err().to_string().contains("empty"));
    Notice::new("").attach("a").check().unwrap();
    Notice::from("x").check().unwrap();
}

#[test]
fn what_is_said_is_not_printed() {
    let said = "the secret of the pyramids";
    let printed = format!("{:?} {:?}", Reply::text(said).with_metadata("k", said), Notice::new(said));
    assert!(!printed.contains("pyramids"), "{printed}");
}
