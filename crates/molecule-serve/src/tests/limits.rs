//! Each limit of the connections: what is above it ends, and the server goes on.

use tokio::time::{Instant, sleep};

use super::*;

const SOON: Duration = Duration::from_millis(150);

#[tokio::test]
async fn a_client_that_says_nothing_is_closed_in_the_time_for_a_head() {
    let server = server(with(|limits| limits.head_time = SOON));
    let mut silent = server.connect().await;
    let start = Instant::now();
    assert_eq!(silent.rest().await, "");
    assert!(start.elapsed() >= SOON);
    server.is_well().await;
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_has_the_time_for_a_head() {
    let server = server(with(|limits| limits.head_time = SOON));
    let slow = server.connect().await;
    let (mut read, mut write) = slow.0.into_split();
    let writing = tokio::spawn(async move {
        for byte in request("hello").bytes() {
            if write.write_all(&[byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(10)).await;
        }
        write
    });
    let mut said = Vec::new();
    let _ = timeout(PATIENCE, read.read_to_end(&mut said)).await.expect("the connection ends");
    assert!(String::from_utf8_lossy(&said).starts_with("HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&said));
    drop(writing);
    server.is_well().await;
}

#[tokio::test]
async fn a_head_is_as_long_as_it_may_be_and_no_longer() {
    let server = server(with(|limits| limits.head_bytes = 2_000));
    let head = |length: usize| {
        let start = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nX: ";
        format!("{start}{}\r\n\r\n", "y".repeat(length - start.len() - 4))
    };
    let mut client = server.connect().await;
    client.send(head(2_000)).await;
    assert!(client.answer().await.0.starts_with("http/1.1 200 "));
    client.send(head(2_001)).await;
    assert!(client.answer().await.0.starts_with("http/1.1 431 "));
    assert_eq!(client.rest().await, "");
    // Without an end.
    let mut client = server.connect().await;
    client.send(&head(3_000)[..2_500]).await;
    assert!(client.answer().await.0.starts_with("http/1.1 431 "));
    server.is_well().await;
}

#[tokio::test]
async fn a_body_that_stops_is_given_up() {
    let server = server(with(|limits| limits.body_gap = SOON));
    for (head, piece) in [("Content-Length: 1000", "some"), ("Transfer-Encoding: chunked", "5\r\nhel")] {
        let mut client = server.connect().await;
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n{piece}")).await;
        let (head, _) = client.answer().await;
        assert!(head.starts_with("http/1.1 408 ") && head.contains("connection: close"), "{head}");
        assert_eq!(client.rest().await, "");
        server.is_well().await;
    }
}

#[tokio::test]
async fn a_body_that_comes_slowly_has_the_time_for_a_body() {
    let server = server(with(|limits| limits.body_time = SOON));
    let client = server.connect().await;
    let (mut read, mut write) = client.0.into_split();
    tokio::spawn(async move {
        let _ = write.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n").await;
        while write.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    });
    let mut said = Vec::new();
    let _ = timeout(PATIENCE, read.read_to_end(&mut said)).await.expect("the connection ends");
    assert!(said.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&said));
    server.is_well().await;
}

#[tokio::test]
async fn a_body_is_as_long_as_it_may_be_and_no_longer() {
    let server = server(with(|limits| limits.body_bytes = 10_000));
    let mut client = server.connect().await;
    assert_eq!(client.call(&"x".repeat(10_000)).await.len(), 10_000);
    client.send(request(&"x".repeat(10_001))).await;
    assert!(client.answer().await.0.starts_with("http/1.1 413 "));
    assert_eq!(client.rest().await, "");
    // Nobody says how long it is.
    let mut client = server.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    for _ in 0..11 {
        // The server may close in between.
        let _ = client.0.write_all(format!("3e8\r\n{}\r\n", "x".repeat(1000)).as_bytes()).await;
    }
    assert!(client.answer().await.0.starts_with("http/1.1 413 "));
    server.is_well().await;
}

#[tokio::test]
async fn large_bodies_that_stop_hold_back_no_small_call() {
    let limits = with(|limits| (limits.body_bytes, limits.body_budget) = (1 << 20, 1 << 20));
    let server = server(limits);
    let mut stopped = Vec::new();
    for _ in 0..8 {
        let mut client = server.connect().await;
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 1 << 20);
        client.send(head + &"x".repeat(300_000)).await;
        stopped.push(client);
    }
    for _ in 0..10 {
        server.is_well().await;
    }
}

#[tokio::test]
async fn a_body_without_memory_is_answered_that_the_agent_is_busy() {
    let limits = with(|limits| (limits.body_bytes, limits.body_budget, limits.body_gap) = (1 << 20, 1 << 20, SOON));
    let server = server(limits);
    let echo = &server.serving.service;
    echo.may_answer.forget_permits(usize::MAX >> 4);
    // It is read, and has its memory until it is answered.
    let mut first = server.connect().await;
    first.send(request(&"x".repeat(600_000))).await;
    server.until(&echo.calls, 1).await;
    let second = server.connect().await;
    let (mut read, mut write) = second.0.into_split();
    tokio::spawn(async move {
        let _ = write.write_all(request(&"x".repeat(600_000)).as_bytes()).await;
        std::future::pending::<()>().await;
    });
    let mut said = Vec::new();
    let _ = timeout(PATIENCE, read.read_to_end(&mut said)).await.expect("the connection ends");
    let said = String::from_utf8(said).unwrap().to_lowercase();
    assert!(said.starts_with("http/1.1 503 ") && said.contains("retry-after: 1"), "{said}");
    echo.may_answer.add_permits(10);
    assert_eq!(first.answer().await.1.len(), 600_000);
    server.is_well().await;
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_given_up() {
    let server = server(with(|limits| (limits.body_gap, limits.body_time) = (SOON, PATIENCE)));
    let mut client = server.connect().await;
    // Far more than the buffers of two sockets.
    client.send(request(&"x".repeat(15 << 20))).await;
    server.until(&server.serving.service.calls, 1).await;
    let left = async {
        while !server.serving.connections.is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, left).await.expect("the connection is given up");
    server.is_well().await;
}

#[tokio::test]
async fn a_connection_stays_open_between_requests_as_long_as_it_may() {
    let limits = with(|limits| (limits.head_time, limits.idle) = (SOON, Duration::from_secs(1)));
    let server = server(limits);
    let mut client = server.connect().await;
    assert_eq!(client.call("one").await, "one");
    sleep(SOON * 2).await;
    assert_eq!(client.call("two").await, "two", "the time for a head begins with its first byte");
    assert_eq!(client.rest().await, "");
    server.is_well().await;
}

#[tokio::test]
async fn above_the_limit_of_connections_the_oldest_idle_one_is_closed() {
    let server = server(with(|limits| (limits.connections, limits.connections_per_address) = (3, 3)));
    let mut clients = Vec::new();
    for number in 0..3 {
        let mut client = server.connect().await;
        client.call(&number.to_string()).await;
        sleep(Duration::from_millis(5)).await;
        clients.push(client);
    }
    let mut fourth = server.connect().await;
    assert_eq!(fourth.call("fourth").await, "fourth");
    assert_eq!(clients[0].rest().await, "");
    assert_eq!(clients[1].call("second").await, "second");
    assert_eq!(clients[2].call("third").await, "third");
}

#[tokio::test]
async fn where_all_connections_are_busy_a_newcomer_waits() {
    for limits in [
        with(|limits| limits.connections = 2),
        with(|limits| (limits.connections, limits.connections_per_address) = (100, 2)),
    ] {
        let server = server(limits);
        let echo = &server.serving.service;
        echo.may_answer.forget_permits(usize::MAX >> 4);
        let mut busy = Vec::new();
        for count in 1..=2 {
            let mut client = server.connect().await;
            client.send(request("busy")).await;
            server.until(&echo.calls, count).await;
            busy.push(client);
        }
        let mut newcomer = server.connect().await;
        newcomer.send(request("newcomer")).await;
        sleep(SOON).await;
        assert_eq!(echo.calls.load(Ordering::SeqCst), 2);
        echo.may_answer.add_permits(10);
        assert_eq!(busy[0].answer().await.1, "busy");
        assert_eq!(newcomer.answer().await.1, "newcomer");
    }
}

#[tokio::test]
async fn a_burst_of_calls_that_end_at_once_stops_nothing() {
    let server = Arc::new(server(generous()));
    let echo = &server.serving.service;
    echo.may_answer.forget_permits(usize::MAX >> 4);
    let mut calls = JoinSet::new();
    for number in 0..200 {
        let server = Arc::clone(&server);
        calls.spawn(async move {
            let mut client = server.connect().await;
            assert_eq!(client.call(&number.to_string()).await, number.to_string());
        });
    }
    // The most of one address.
    server.until(&echo.calls, 64).await;
    echo.may_answer.add_permits(10_000);
    while let Some(call) = calls.join_next().await {
        call.unwrap();
    }
    server.is_well().await;
}

#[tokio::test]
async fn heads_that_do_not_come_to_their_end_make_room() {
    let server = server(with(|limits| (limits.connections, limits.connections_per_address) = (3, 3)));
    let mut slow = Vec::new();
    for _ in 0..3 {
        let mut client = server.connect().await;
        client.send("POST / HTTP/1.1\r\nHost: a\r\n").await;
        slow.push(client);
    }
    server.is_well().await;
    let mut closed = 0;
    for client in &mut slow {
        let mut said = [0; 12];
        if let Ok(read) = timeout(SOON, client.0.read_exact(&mut said)).await {
            assert!(read.is_ok() && &said == b"HTTP/1.1 408", "{said:?}");
            closed += 1;
        }
    }
    assert_eq!(closed, 1, "one is enough");
}
