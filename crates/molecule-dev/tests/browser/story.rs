//! What somebody does on the page, with an agent of ours.

use molecule_dev::{Dev, Options};

use crate::browser::Browser;
use crate::watched::Watched;

#[test]
fn the_page_opens() {
    let Some(browser) = Browser::start("story") else { return };
    let dev = Dev::start(Options::in_memory()).unwrap();
    let watched = Watched::open(browser, &dev.page_url());
    watched.browser().wait_for_text("body", "molecule dev");
    dev.stop().unwrap();
}
