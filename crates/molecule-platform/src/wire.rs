//! The JSON forms of requests, answers and bytes.
//!
//! A body is text under `body` if it is UTF-8, otherwise Base64 under `base64`. The bytes of a header's value are the
//! characters U+0000 to U+00FF, so that a value that is no UTF-8 comes back as it was.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;

/// Headers in their order, and a body.
#[derive(Serialize, Deserialize)]
struct Message {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, String)>,
    #[serde(flatten)]
    body: Body,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Body {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl Body {
    pub(crate) fn write(bytes: &Bytes) -> Self {
        match std::str::from_utf8(bytes) {
            Ok("") => Self { body: None, base64: None },
            Ok(text) => Self { body: Some(text.to_owned()), base64: None },
            Err(_) => Self { body: None, base64: Some(STANDARD.encode(bytes)) },
        }
    }

    pub(crate) fn read<E: serde::de::Error>(self) -> Result<Bytes, E> {
        match (self.body, self.base64) {
            (None, None) => Ok(Bytes::new()),
            (Some(text), None) => Ok(Bytes::from(text)),
            (None, Some(text)) => STANDARD.decode(text).map(Bytes::from).map_err(E::custom),
            (Some(_), Some(_)) => Err(E::custom("a body is text or Base64, not both")),
        }
    }
}

impl Message {
    fn write(headers: &HeaderMap, body: &Bytes) -> Self {
        let text = |value: &HeaderValue| value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
        let headers = headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        Self { headers, body: Body::write(body) }
    }

    fn read<E: serde::de::Error>(self) -> Result<(HeaderMap, Bytes), E> {
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            let bytes: Result<Vec<u8>, _> = value.chars().map(u8::try_from).collect();
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(E::custom)?;
            let value = HeaderValue::from_bytes(&bytes.map_err(E::custom)?).map_err(E::custom)?;
            headers.append(name, value);
        }
        Ok((headers, self.body.read()?))
    }
}

/// `{"method", "uri", "headers", "body"}`.
pub(crate) mod request {
    use http::Request;
    use serde::{Deserializer, Serializer, de::Error as _};

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Wire {
        method: String,
        uri: String,
        #[serde(flatten)]
        message: Message,
    }

    pub(crate) fn serialize<S: Serializer>(request: &Request<Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
        let (method, uri) = (request.method().to_string(), request.uri().to_string());
        Wire { method, uri, message: Message::write(request.headers(), request.body()) }.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Request<Bytes>, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        let (headers, body) = wire.message.read()?;
        let request = Request::builder().method(wire.method.as_str()).uri(wire.uri).body(body);
        let mut request = request.map_err(D::Error::custom)?;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

/// `{"answer": {"status", "headers", "body"}}`, or `{"fault": …}`.
pub(crate) mod outcome {
    use http::Response;
    use serde::{Deserializer, Serializer};

    use super::*;
    use crate::dispatch::DispatchFault;

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Wire {
        Answer(Answer),
        Fault(DispatchFault),
    }

    #[derive(Serialize, Deserialize)]
    struct Answer {
        #[serde(with = "super::status")]
        status: http::StatusCode,
        #[serde(flatten)]
        message: Message,
    }

    pub(crate) fn serialize<S: Serializer>(
        outcome: &Result<Response<Bytes>, DispatchFault>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let wire = match outcome {
            Ok(response) => {
                let message = Message::write(response.headers(), response.body());
                Wire::Answer(Answer { status: response.status(), message })
            }
            Err(fault) => Wire::Fault(*fault),
        };
        wire.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Result<Response<Bytes>, DispatchFault>, D::Error> {
        Ok(match Wire::deserialize(deserializer)? {
            Wire::Answer(answer) => {
                let (headers, body) = answer.message.read()?;
                let mut response = Response::new(body);
                *response.status_mut() = answer.status;
                *response.headers_mut() = headers;
                Ok(response)
            }
            Wire::Fault(fault) => Err(fault),
        })
    }
}

/// A status as its number.
pub(crate) mod status {
    use http::StatusCode;
    use serde::{Deserializer, Serializer, de::Error as _};

    use super::*;

    pub(crate) fn serialize<S: Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(status.as_u16())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StatusCode, D::Error> {
        StatusCode::from_u16(u16::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Bytes in Base64.
pub(crate) mod base64 {
    use serde::{Deserializer, Serializer, de::Error as _};

    use super::*;

    pub(crate) fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map(Bytes::from).map_err(D::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::{Request, StatusCode};
    use serde_json::{Value, json};

    use crate::dispatch::DispatchFault;
    use crate::input::Input;

    use super::*;

    fn again(input: &Input) -> (Value, Input) {
        let text = serde_json::to_string(input).unwrap();
        (serde_json::from_str(&text).unwrap(), serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn a_request_comes_back_with_every_byte_of_headers_and_body() {
        for body in [Bytes::new(), Bytes::from("żółw \" \u{0}"), Bytes::from_static(&[0xff, 0, 0xc3])] {
            let odd = HeaderValue::from_bytes(&[b'a', 0xff, 0xc3]).unwrap();
            let request = Request::post("/a%2Fb?c=d%ff").header("x-odd", odd).header("x-odd", "b").body(body).unwrap();
            let input = Input::Request { peer: Some([127, 0, 0, 1].into()), request: request.clone() };
            let (_, Input::Request { peer, request: back }) = again(&input) else { panic!("another input") };
            assert_eq!(peer, Some([127, 0, 0, 1].into()));
            assert_eq!((back.method(), back.uri(), back.body()), (request.method(), request.uri(), request.body()));
            assert_eq!(back.headers(), request.headers());
        }
    }

    #[test]
    fn outcomes_of_calls_come_back() {
        let id = crate::DispatchId(7);
        let address = Some(([127, 0, 0, 1], 9).into());
        let faults = [DispatchFault::Closed, DispatchFault::Connect(address), DispatchFault::Cut(StatusCode::ACCEPTED)];
        for fault in faults {
            let (_, Input::Dispatched { outcome, .. }) = again(&Input::Dispatched { id, outcome: Err(fault) }) else {
                panic!("another input")
            };
            assert_eq!(outcome.unwrap_err(), fault);
        }
        let response = http::Response::builder().status(503).header("a", "b").body(Bytes::from("busy")).unwrap();
        let (text, _) = again(&Input::Dispatched { id, outcome: Ok(response) });
        assert_eq!(
            text["dispatched"],
            json!({"id": 7, "outcome": {"answer": {"status": 503, "headers": [["a", "b"]], "body": "busy"}}})
        );
    }

    #[test]
    fn what_is_no_body_is_refused() {
        let read = |text| serde_json::from_str::<Body>(text).unwrap().read::<serde_json::Error>();
        assert!(read(r#"{"body": "a", "base64": "aaaa"}"#).is_err());
        assert!(read(r#"{"base64": "?"}"#).is_err());
    }
}
