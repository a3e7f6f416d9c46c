//! Every place that a view asks or leads to is answered.

use std::collections::BTreeSet;

use molecule_dev::Dev;

use crate::client::{create, get, start, start_april};

/// The values of an attribute.
fn values<'a>(body: &'a str, attribute: &str) -> Vec<&'a str> {
    let begin = format!(" {attribute}=\"");
    body.split(begin.as_str()).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn every_link_and_every_live_part_leads_somewhere() {
    for dev in [start(), start_april()] {
        follow_all(&dev);
    }
}

fn follow_all(dev: &Dev) {
    let (id, _token) = create(dev, "a");
    create(dev, "b");
    let mut waiting: Vec<String> = values(&get(dev, "/").body, "href")
        .into_iter()
        .filter_map(|href| href.strip_prefix("#/"))
        .map(|place| format!("/dev/{place}"))
        .collect();
    waiting.push(format!("/dev/workspace/{id}"));
    let mut seen = BTreeSet::new();
    while let Some(path) = waiting.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let answer = get(dev, &path.replace("&amp;", "&"));
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert!(answer.header("content-type").unwrap().starts_with("text/html"), "{path}");
        for file in values(&answer.body, "data-fetch") {
            assert_eq!(get(dev, file).status, 200, "{file} in {path}");
        }
        let places = values(&answer.body, "href")
            .into_iter()
            .filter_map(|href| Some(format!("/dev/{}", href.strip_prefix("#/")?)));
        let asked = values(&answer.body, "hx-get").into_iter().map(str::to_owned);
        waiting.extend(places.chain(asked));
        assert!(seen.len() < 300, "the views lead to ever more places");
    }
    assert!(seen.len() > 10, "{seen:?}");
}
