// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a router's address, a realm and a PLC's name may look like.

use std::{fmt, net::IpAddr};

use plc_api::limits;

/// What [`RouterUrl::new`] takes, for people.
pub const URL_RANGE: &str = "ws:// or wss:// and a host, as in wss://router.example:8080/ws, with no blanks, no \
                             user:password@, no # and at most 1024 bytes";

/// What [`is_name`] takes, for people.
pub const NAME_RANGE: &str = "1 to 128 characters without blanks, # and control characters, no empty part between dots, not beginning with wamp.";

/// What [`IdPattern::new`] takes, for people.
pub const ID_RANGE: &str = "1 to 128 characters without blanks, # and control characters, no empty part between dots, \
                            not beginning with wamp.; %H is the host's name, %m the machine's id, %% is %";

/// The address of a WAMP router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterUrl(String);

impl RouterUrl {
    /// Takes an address of the form that [`URL_RANGE`] tells.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let rest = lower.strip_prefix("wss://").or_else(|| lower.strip_prefix("ws://"))?;
        let (authority, _) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let printable =
            text.len() <= limits::URL_BYTES && text.bytes().all(|b| b.is_ascii_graphic());
        let good = printable && !text.contains('#') && is_authority(authority);
        good.then(|| Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether what passes is kept from others on the way.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.0.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("wss:"))
    }

    /// Whether what passes leaves this machine, as far as the address tells.
    #[must_use]
    pub fn leaves_this_machine(&self) -> bool {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        let (authority, _) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let host = match authority.strip_prefix('[') {
            Some(rest) => rest.split(']').next(),
            None => authority.split(':').next(),
        };
        let host = host.unwrap_or_default();
        let is_loopback = host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
        !is_loopback && !host.eq_ignore_ascii_case("localhost")
    }
}

impl fmt::Display for RouterUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `host`, `host:port`, `[address]` or `[address]:port`. Without a user: what is before `@` would be shown to everybody
/// who asks for the status.
fn is_authority(text: &str) -> bool {
    let (host_is_good, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((address, port)) = rest.split_once(']') else { return false };
            (address.parse::<std::net::Ipv6Addr>().is_ok(), port)
        }
        None => {
            let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
            (!host.is_empty() && host.len() <= 255 && host.bytes().all(allowed), port)
        }
    };
    let port_is_good = match port.strip_prefix(':') {
        Some(digits) => {
            digits.bytes().all(|b| b.is_ascii_digit())
                && digits.parse().is_ok_and(|port: u16| port > 0)
        }
        None => port.is_empty(),
    };
    host_is_good && port_is_good
}

/// Whether this can be a realm, and the beginning of procedures' names: a loose URI of WAMP (specification, "URIs"),
/// outside of what the protocol keeps for itself.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let short = text.chars().take(limits::WAMP_NAME_CHARS + 1).count() <= limits::WAMP_NAME_CHARS;
    let allowed = |c: char| !c.is_whitespace() && !c.is_control() && c != '#';
    let mut parts = text.split('.');
    short
        && parts.clone().all(|part| !part.is_empty() && part.chars().all(allowed))
        && parts.next() != Some("wamp")
}

/// A PLC's name at a router, in which `%H` stands for the host's name, `%m` for the machine's id and `%%` for `%`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdPattern(String);

/// What the placeholders stand for; `None`: it has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// For `%H`.
    pub host: Option<String>,
    /// For `%m`: machine-id(5).
    pub id: Option<String>,
}

impl IdPattern {
    /// The host's name.
    #[must_use]
    pub fn host() -> Self {
        Self("%H".to_owned())
    }

    /// Takes a pattern of the form that [`ID_RANGE`] tells.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let pattern = Self(text.to_owned());
        let example = Machine { host: Some("host".into()), id: Some("0".repeat(32)) };
        let short = text.len() <= 4 * limits::WAMP_NAME_CHARS;
        (short && pattern.fill(&example).is_some_and(|id| is_name(&id))).then_some(pattern)
    }

    /// The name on this machine.
    ///
    /// ```
    /// use plc_supervisor::wamp::name::{IdPattern, Machine};
    ///
    /// let press = Machine { host: Some("press2".to_owned()), id: None };
    /// let id = IdPattern::new("hall.%H").map(|pattern| pattern.resolve(&press));
    /// assert_eq!(id, Some(Ok("hall.press2".to_owned())));
    /// assert_eq!(IdPattern::new("hall..%H"), None);
    /// ```
    ///
    /// # Errors
    /// A sentence with the next step, when the machine lacks what the pattern asks for.
    pub fn resolve(&self, machine: &Machine) -> Result<String, String> {
        let pattern = &self.0;
        let Some(id) = self.fill(machine) else {
            return Err(format!(
                "the id {pattern} asks for the host's name or the machine's id, and this machine has none: \
                 hostnamectl set-hostname NAME, systemd-machine-id-setup"
            ));
        };
        if is_name(&id) {
            return Ok(id);
        }
        Err(format!(
            "the id {pattern} becomes a name that WAMP does not allow, because of the host's name: set wamp.id to one of \
             {NAME_RANGE}"
        ))
    }

    /// `None` for an unknown placeholder, and for one that stands for nothing here.
    fn fill(&self, machine: &Machine) -> Option<String> {
        let mut filled = String::new();
        let mut characters = self.0.chars();
        while let Some(character) = characters.next() {
            match character {
                '%' => match characters.next()? {
                    'H' => filled.push_str(machine.host.as_deref()?),
                    'm' => filled.push_str(machine.id.as_deref()?),
                    '%' => filled.push('%'),
                    _ => return None,
                },
                other => filled.push(other),
            }
        }
        Some(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_routers_are_taken_as_people_write_them() {
        for good in [
            "ws://127.0.0.1:8888",
            "wss://router.example",
            "wss://plant-3.router.example:443/ws",
            "WSS://Router.Example/ws?x=1",
            "ws://[fd00::1]:8080/",
            "ws://[::1]",
        ] {
            let url = RouterUrl::new(good);
            assert_eq!(url.as_ref().map(RouterUrl::as_str), Some(good));
            assert_eq!(url.unwrap().is_encrypted(), good.to_ascii_lowercase().starts_with("wss"));
        }
    }

    #[test]
    fn what_is_no_address_of_a_router_is_refused() {
        let long = format!("ws://host/{}", "x".repeat(limits::URL_BYTES));
        for bad in [
            "",
            "ws://",
            "http://router",
            "router:8080",
            "ws:// router",
            "ws://router/a b",
            "ws://user:password@router",
            "ws://router:0",
            "ws://router:65536",
            "ws://router:+80",
            "ws://router:",
            "ws://router/#x",
            "ws://router\n",
            "ws://r\u{f6}uter",
            "ws://[::1",
            "ws://[router]",
            "ws://[::1]x",
            "ws://?x",
            &long,
        ] {
            assert_eq!(RouterUrl::new(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_name_is_a_loose_uri_that_the_protocol_leaves_to_us() {
        for good in
            ["Automation", "2534667845", "plant.hall-3.press", "h\u{f6}he", "wamptest", "a%b"]
        {
            assert!(is_name(good), "{good:?}");
        }
        for bad in [
            "",
            ".",
            "a.",
            "a..b",
            "a b",
            "a#b",
            "a\nb",
            "a\u{0}",
            "wamp",
            "wamp.x",
            &"x".repeat(129),
        ] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn placeholders_stand_for_this_machine() {
        let machine = Machine { host: Some("press-7.plant".into()), id: Some("0123abcd".into()) };
        let resolved = |text: &str| IdPattern::new(text).unwrap().resolve(&machine);
        assert_eq!(resolved("%H"), Ok("press-7.plant".into()));
        assert_eq!(resolved("a.%m.%H"), Ok("a.0123abcd.press-7.plant".into()));
        assert_eq!(resolved("100%%"), Ok("100%".into()));
        for bad in ["", "%", "%x", "a %H", "%H..a", "wamp.%H", &"%%".repeat(400)] {
            assert_eq!(IdPattern::new(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_machine_without_what_is_asked_for_is_told_how_to_get_it() {
        let pattern = IdPattern::new("%m").unwrap();
        let without = pattern.resolve(&Machine::default()).unwrap_err();
        assert!(without.contains("systemd-machine-id-setup"), "{without}");
        let odd = Machine { host: Some("a..b".into()), id: None };
        let refused = IdPattern::new("%H").unwrap().resolve(&odd).unwrap_err();
        assert!(refused.contains("wamp.id"), "{refused}");
    }

    #[test]
    fn an_address_of_this_machine_is_known_as_such() {
        for here in
            ["ws://127.0.0.1:8888", "ws://LocalHost/ws", "ws://[::1]:80/a", "wss://127.1.2.3"]
        {
            assert!(!RouterUrl::new(here).unwrap().leaves_this_machine(), "{here}");
        }
        for there in
            ["ws://r", "ws://127.0.0.1.example:80", "ws://[2001:db8::1]", "ws://10.0.0.1?a"]
        {
            assert!(RouterUrl::new(there).unwrap().leaves_this_machine(), "{there}");
        }
    }
}
