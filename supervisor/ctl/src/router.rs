// SPDX-License-Identifier: MIT OR Apache-2.0
//! The link to a WAMP router, as people read it.

use plc_api::{
    plc::Snapshot,
    wamp::{LinkState, RouterLink},
};

use crate::render;

/// Rows about it: none where nobody asks for a router.
pub(crate) fn rows(snapshot: &Snapshot, now_us: u64) -> Vec<(&'static str, String)> {
    let asked = &snapshot.router_asked;
    let link = match (&snapshot.router, &asked.url) {
        (Some(link), _) if link.state != LinkState::Off => Some(sentence(link, now_us)),
        (Some(link), Some(url)) => Some(off(link, url, &asked.source)),
        (None, Some(url)) => Some(format!(
            "{url}, as {} asks, is not joined: the connector does not run; plcctl check tells how to start it",
            asked.source
        )),
        (Some(_) | None, None) => None,
    };
    let told =
        |problem: &&String| link.as_ref().is_some_and(|link| link.contains(problem.as_str()));
    let problems = asked.problems.iter().filter(|problem| !told(problem));
    let problems: Vec<_> = problems.map(|problem| ("WAMP", problem.clone())).collect();
    link.into_iter().map(|link| ("router", link)).chain(problems).collect()
}

/// The connector is there, and there is nothing that it could do.
fn off(link: &RouterLink, url: &str, source: &str) -> String {
    let reason = link.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{url}, as {source} asks, is not joined{reason}")
}

/// What the link is at, with what, and why.
pub(crate) fn sentence(link: &RouterLink, now_us: u64) -> String {
    let RouterLink { url, realm, id, authentication, registrations, procedures, .. } = link;
    let state = match (link.state, link.next_attempt_us) {
        (LinkState::Ready, _) => {
            format!("ready for {}", render::elapsed(now_us.saturating_sub(link.since_us)))
        }
        (LinkState::Waiting, Some(next)) => {
            let seconds = next.saturating_sub(now_us).div_ceil(1_000_000);
            format!("waiting, next attempt in {seconds} s")
        }
        (state, _) => state.as_str().to_owned(),
    };
    let registered = match link.state {
        LinkState::Registering | LinkState::Ready => {
            format!(", {registrations} of {procedures} procedures")
        }
        LinkState::Off | LinkState::Connecting | LinkState::Joining | LinkState::Waiting => {
            String::new()
        }
    };
    let reason = link.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{state}; {url}, realm {realm}, as {id} ({authentication}){registered}{reason}")
}

/// One line when the link has come to another point.
pub(crate) fn change(before: &Snapshot, now: &Snapshot) -> Option<String> {
    let point = |snapshot: &Snapshot| {
        snapshot.router.as_ref().map(|link| (link.state, link.reason.clone(), link.url.clone()))
    };
    if point(before) == point(now) {
        return None;
    }
    Some(match &now.router {
        Some(link) => format!("router {}", sentence(link, render::now_us())),
        None => "the connector of the router has ended".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use plc_api::wamp::RouterAsked;

    use super::*;

    fn link(state: LinkState) -> RouterLink {
        RouterLink {
            state,
            url: "wss://r/ws".into(),
            realm: "Plant".into(),
            id: "press".into(),
            source: "plc-runtime.toml".into(),
            authentication: "wampcra".into(),
            registrations: 16,
            procedures: 16,
            since_us: 1_000_000,
            ..RouterLink::default()
        }
    }

    fn asked() -> RouterAsked {
        RouterAsked {
            url: Some("wss://r/ws".into()),
            source: "plc-runtime.toml".into(),
            ..RouterAsked::default()
        }
    }

    fn snapshot(router: Option<RouterLink>, router_asked: RouterAsked) -> Snapshot {
        Snapshot { router, router_asked, ..Snapshot::default() }
    }

    #[test]
    fn nothing_is_said_where_nobody_asks() {
        assert!(rows(&Snapshot::default(), 0).is_empty());
        let idle = snapshot(Some(RouterLink::default()), RouterAsked::default());
        assert!(rows(&idle, 0).is_empty());
    }

    #[test]
    fn a_link_says_with_whom_and_as_whom() {
        let ready = snapshot(Some(link(LinkState::Ready)), asked());
        let text =
            "ready for 1 min 5 s; wss://r/ws, realm Plant, as press (wampcra), 16 of 16 procedures";
        assert_eq!(rows(&ready, 66_000_000), [("router", text.to_owned())]);
        let lost = RouterLink {
            reason: Some("the router does not answer".into()),
            next_attempt_us: Some(4_500_000),
            ..link(LinkState::Waiting)
        };
        let text = "waiting, next attempt in 3 s; wss://r/ws, realm Plant, as press (wampcra): the router does not answer";
        assert_eq!(rows(&snapshot(Some(lost), asked()), 2_000_000), [("router", text.to_owned())]);
    }

    #[test]
    fn a_router_that_nobody_joins_is_told_with_the_reason_once() {
        let nobody = rows(&snapshot(None, asked()), 0);
        assert!(nobody[0].1.contains("wss://r/ws, as plc-runtime.toml asks") && nobody.len() == 1);
        let problem = "there is no secret /x: write it there".to_owned();
        let asked = RouterAsked { problems: vec![problem.clone()], ..asked() };
        assert_eq!(rows(&snapshot(None, asked.clone()), 0)[1], ("WAMP", problem.clone()));
        let off = RouterLink { reason: Some(problem.clone()), ..link(LinkState::Off) };
        let rows = rows(&snapshot(Some(off), asked), 0);
        assert!(rows.len() == 1 && rows[0].1.contains(&problem), "{rows:?}");
    }

    #[test]
    fn each_point_of_the_link_is_a_change() {
        let (before, ready) =
            (Snapshot::default(), snapshot(Some(link(LinkState::Ready)), asked()));
        assert!(change(&before, &ready).unwrap().starts_with("router ready for"));
        assert_eq!(change(&ready, &ready), None);
        assert!(change(&ready, &before).unwrap().contains("has ended"));
    }
}
