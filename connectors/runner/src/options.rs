// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line that all connectors share.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;
use plc_api::paths::{DEFAULT_INSTANCE, Paths};

/// How long a connector that systemd can start again waits for work.
const ACTIVATED_IDLE_EXIT: Duration = Duration::from_secs(60);

/// Options of every connector; flatten them into its own.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Socket of the supervisor [default: this connector's under /run/plc-runtime/connectors]
    #[arg(long, value_name = "SOCKET")]
    pub api: Option<PathBuf>,

    /// Listen here instead of on the sockets handed over by systemd or on standard input; may be repeated
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Vec<SocketAddr>,

    /// End after this long without a connection, 0 means never [default: 60, with --listen 0]
    #[arg(long, value_name = "SECONDS")]
    pub idle_exit: Option<u64>,

    /// Refuse connections from processes of this user on this machine; may be repeated
    #[arg(long, value_name = "NAME")]
    pub refuse_user: Vec<String>,
}

impl Options {
    /// The supervisor's socket for `connector`.
    #[must_use]
    pub fn api_socket(&self, connector: &str) -> PathBuf {
        self.api
            .clone()
            .unwrap_or_else(|| Paths::of_instance(DEFAULT_INSTANCE).connector_socket(connector))
    }

    /// How long to wait for work before ending; `None` for ever.
    ///
    /// A connector that opened its sockets itself stays by default: with it the port would be gone.
    #[must_use]
    pub fn idle_exit(&self) -> Option<Duration> {
        match self.idle_exit {
            Some(0) => None,
            Some(seconds) => Some(Duration::from_secs(seconds)),
            None if self.listen.is_empty() => Some(ACTIVATED_IDLE_EXIT),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        options: Options,
    }

    fn parse(arguments: &[&str]) -> Options {
        let arguments = [&["connector"], arguments].concat();
        Command::try_parse_from(arguments).unwrap().options
    }

    #[test]
    fn the_default_socket_is_the_connector_s_own() {
        assert_eq!(
            parse(&[]).api_socket("pyro").to_str(),
            Some("/run/plc-runtime/connectors/pyro.sock")
        );
        assert_eq!(parse(&["--api", "/x"]).api_socket("pyro").to_str(), Some("/x"));
    }

    #[test]
    fn only_an_activated_connector_ends_by_default() {
        let listening = ["--listen", "127.0.0.1:3000"];
        assert_eq!(parse(&[]).idle_exit(), Some(Duration::from_secs(60)));
        assert_eq!(parse(&["--idle-exit", "0"]).idle_exit(), None);
        assert_eq!(parse(&listening).idle_exit(), None);
        assert_eq!(
            parse(&[&listening[..], &["--idle-exit", "5"]].concat()).idle_exit(),
            Some(Duration::from_secs(5))
        );
    }
}
