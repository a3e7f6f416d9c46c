//! The watch of the pages sees each fault that it is there for: else a clean page would say nothing.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::browser::Browser;
use crate::watched::Watched;

/// Serves one page to everybody, for as long as the process lives.
fn serve(page: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/html\r\n\
                            Content-Security-Policy: default-src 'none'; script-src 'self'; img-src 'self' data: http://elsewhere.test\r\n";
                let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n{page}", page.len());
            });
        }
    });
    format!("http://{address}/")
}

#[test]
fn the_watch_sees_each_fault() {
    let Some(browser) = Browser::start("judges") else { return };
    let bad = serve(
        "<!doctype html><html lang=en><title>t</title><meta name=viewport content='width=device-width'>\
         <main><h1>Bad</h1><p style='color: red'>styled</p><img src=http://elsewhere.test/a.png alt=''><input>\
         <canvas width=500></canvas></main></html>",
    );
    let mut watched = Watched::open(browser, &bad);
    watched.look("judges");
    let found = watched.found();
    let sees = |part: &str| found.iter().any(|one| one.contains(part));
    assert!(sees("Content Security Policy"), "{found:#?}");
    assert!(sees("a request to http://elsewhere.test/a.png"), "{found:#?}");
    assert!(sees("judges, 360-light: the page is wider than the window"), "{found:#?}");
    assert!(!sees("judges, 1280-light: the page is wider"), "{found:#?}");
    if watched.has_axe() {
        assert!(sees("judges, 1280-dark: [\n  \"label\""), "{found:#?}");
    }
    let good = serve(
        "<!doctype html><html lang=en><title>t</title><meta name=viewport content='width=device-width'>\
         <link rel=icon href=data:,><main><h1>Good</h1><label>Name <input></label></main></html>",
    );
    watched.open_another(&good);
    watched.look("judges");
    watched.was_clean();
}
