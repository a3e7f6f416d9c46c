//! Options about a proxy.

use molecule_blocking::ErrorKind;

use crate::common::*;

#[test]
fn a_proxy_that_is_no_url_is_a_config_error() {
    let error = builder("http://127.0.0.1:9").proxy("socks5://127.0.0.1:1").build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}
