//! What clients of all kinds may expect of HTTP/1.1.

use super::*;

#[tokio::test]
async fn a_connection_stays_open_if_its_client_can_use_it() {
    let server = server(generous());
    for (version, header, stays) in [
        ("1.1", "", true),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: x, Close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        let mut client = server.connect().await;
        let request = format!("POST / HTTP/{version}\r\nHost: a\r\n{header}Content-Length: 2\r\n\r\nhi");
        client.send(&request).await;
        let (head, body) = client.answer().await;
        assert!(head.starts_with("http/1.1 200 ok\r\n") && body == "hi", "{head}");
        assert_eq!(!head.contains("connection: close\r\n"), stays, "{request}: {head}");
        // A client of HTTP/1.0 takes it for closed unless it is told.
        assert_eq!(head.contains("connection: keep-alive\r\n"), stays && version == "1.0", "{request}: {head}");
        if stays {
            client.send(&request).await;
            assert_eq!(client.answer().await.1, "hi");
        } else {
            assert_eq!(client.rest().await, "");
        }
    }
}

#[tokio::test]
async fn a_client_that_waits_to_continue_is_told_so_when_its_body_is_wanted() {
    let server = server(generous());
    let head = |path: &str, framing: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{framing}\r\n\r\n")
    };
    let mut client = server.connect().await;
    for (framing, body) in [("Content-Length: 5", "hello"), ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n")] {
        client.send(head("/", framing)).await;
        let mut told = [0; 25];
        timeout(PATIENCE, client.0.read_exact(&mut told)).await.expect("an interim answer").unwrap();
        assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
        client.send(body).await;
        assert_eq!(client.answer().await.1, "hello");
        // One that did not wait is answered at once.
        client.send(head("/", framing) + body).await;
        let (head, body) = client.answer().await;
        assert!(head.starts_with("http/1.1 200 ") && body == "hello", "{head}");
    }
    client.send(head("/other", "Content-Length: 5")).await;
    let (head, _) = client.answer().await;
    assert!(head.starts_with("http/1.1 404 ") && head.contains("connection: close\r\n"), "{head}");
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn an_answer_to_head_has_the_length_of_the_body_and_none_of_it() {
    let server = server(generous());
    let mut client = server.connect().await;
    client.send(format!("HEAD /other HTTP/1.1\r\nHost: a\r\n\r\n{}", request("next"))).await;
    let mut said = Vec::new();
    while !said.ends_with(b"\r\n\r\n") {
        said.push(timeout(PATIENCE, client.0.read_u8()).await.expect("a head").unwrap());
    }
    let head = String::from_utf8(said).unwrap();
    assert!(head.starts_with("HTTP/1.1 404 Not Found\r\n") && head.contains("content-length: 7\r\n"), "{head}");
    assert!(head.contains("\r\ndate: "), "{head}");
    assert_eq!(client.answer().await.1, "next");
}
