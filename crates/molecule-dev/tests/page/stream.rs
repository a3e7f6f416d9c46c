//! The event stream: the newest line at once and after each change, for a bounded number of tabs.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use molecule_dev::Dev;

use crate::client::{bearer, connect, create, get, head, start};

/// The most streams at once.
const MOST: usize = 64;

struct Stream(BufReader<TcpStream>);

impl Stream {
    /// Opens a stream; returns its status.
    fn open(dev: &Dev) -> (u16, Self) {
        let mut stream = connect(dev);
        let request = format!("{}{}Accept: text/event-stream\r\n\r\n", head(dev, "GET", "/dev/events"), bearer(dev));
        stream.write_all(request.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        (status, Self(reader))
    }

    /// The line of the next event.
    fn next(&mut self) -> u64 {
        loop {
            let mut line = String::new();
            assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "the stream goes on");
            if let Some(data) = line.strip_prefix("data: ") {
                return data.split(' ').next().unwrap().parse().unwrap();
            }
        }
    }
}

#[test]
fn the_newest_line_comes_at_once_and_after_each_change() {
    let dev = start();
    let (status, mut stream) = Stream::open(&dev);
    assert_eq!(status, 200);
    assert_eq!(stream.next(), dev.world().line());
    create(&dev, "a");
    let newest = dev.world().line();
    while stream.next() < newest {}
}

#[test]
fn two_hundred_streams_are_not_all_opened_and_the_page_still_answers() {
    let dev = start();
    let mut open = Vec::new();
    let mut refused = 0;
    for _ in 0..200 {
        match Stream::open(&dev) {
            (200, stream) => open.push(stream),
            (503, _) => refused += 1,
            (status, _) => panic!("{status}"),
        }
    }
    assert_eq!((open.len(), refused), (MOST, 200 - MOST));
    assert_eq!(get(&dev, "/dev/workspaces").status, 200);
    create(&dev, "a");
    let newest = dev.world().line();
    for stream in &mut open {
        while stream.next() < newest {}
    }
    // A closed tab makes room for another one.
    drop(open);
    let begun = std::time::Instant::now();
    while Stream::open(&dev).0 != 200 {
        assert!(begun.elapsed() < crate::client::PATIENCE, "closed streams still count");
        std::thread::yield_now();
    }
}

#[test]
fn a_stop_ends_the_streams() {
    let dev = start();
    let (_, mut stream) = Stream::open(&dev);
    stream.next();
    dev.stop().unwrap();
    let mut rest = String::new();
    loop {
        rest.clear();
        if stream.0.read_line(&mut rest).unwrap_or(0) == 0 {
            return;
        }
    }
}
