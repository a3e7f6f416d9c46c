//! Bodies that are far too large, in a process of their own, whose memory is read.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod raw;

use raw::World;

/// The size of a body, in MiB.
const BODY: usize = 400;

/// What one of them may cost, in MiB: a body of the default limit, twice while its buffer grows, and the allocator's rest.
const MOST: usize = 48;

/// What many of them may cost at once, in MiB: the budget of all bodies is 64 MiB, a buffer that grows has up to twice the
/// bytes that are in it, and is there a second time while it moves.
const MOST_OF_MANY: usize = 3 * 64;

#[test]
fn a_body_of_400_mb_is_refused_in_constant_memory() {
    let world = World::new(|_| {});
    world.answers();
    let before = peak();
    let piece = vec![b'x'; 1024 * 1024];
    // With its length in the head it is refused before a byte of it is read.
    let mut raw = world.connect();
    assert!(raw.send(world.head(BODY * piece.len()).as_bytes()));
    let reply = raw.answer().expect("the answer comes before the body");
    assert_eq!((reply.status, reply.says_close()), (413, true), "{reply:?}");
    raw.until_closed();
    world.answers();
    // Without one it is read up to the limit.
    let mut raw = world.connect();
    assert!(raw.send(world.head_with("Transfer-Encoding: chunked\r\n").as_bytes()));
    let mut sent = 0;
    let size = format!("{:x}\r\n", piece.len());
    while sent < BODY && raw.send(size.as_bytes()) && raw.send(&piece) && raw.send(b"\r\n") {
        sent += 1;
    }
    let told = raw.until_closed();
    assert!(told.is_empty() || told.starts_with(b"HTTP/1.1 413 "), "{:?}", String::from_utf8_lossy(&told));
    world.answers();
    let of_one = peak() - before;
    println!("{BODY} MiB in one body, of which {sent} MiB were sent: {of_one} MiB more at the peak");
    assert!(of_one <= MOST, "{of_one} MiB");
    // Several at once share one budget.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut raw = world.connect();
                raw.send(world.head_with("Transfer-Encoding: chunked\r\n").as_bytes());
                for _ in 0..BODY / 8 {
                    if !(raw.send(size.as_bytes()) && raw.send(&piece) && raw.send(b"\r\n")) {
                        break;
                    }
                }
                raw.until_closed();
            });
        }
    });
    world.answers();
    let of_many = peak() - before;
    println!("{BODY} MiB in eight bodies at once: {of_many} MiB more at the peak");
    assert!(of_many <= MOST_OF_MANY, "{of_many} MiB");
    assert_eq!(world.all_runs(), 4);
}

/// The most resident memory that this process has had, in MiB.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1024
}
