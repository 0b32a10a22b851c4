//! Whether the addresses of a ring are free, asked before anything is written, so that the answer can name the one that is not.

use crate::identity::layout::RingNode;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

/// An address that cannot be listened on.
#[derive(Debug)]
pub(super) struct Busy {
    address: SocketAddr,
    option: &'static str,
    source: io::Error,
}

/// Tries every address of `nodes`. Another program may still take one afterwards; then the start itself fails.
pub(super) fn check_free(nodes: &[RingNode]) -> Result<(), Busy> {
    for node in nodes {
        for (address, option) in [(node.gateway_address, "--gateway"), (node.ring_address, "--ring-port")] {
            TcpListener::bind(address).map_err(|source| Busy { address, option, source })?;
        }
    }
    Ok(())
}

impl Busy {
    /// For a ring that is yet to be made.
    pub(super) fn of_new(self) -> anyhow::Error {
        let Self { address, option, source } = self;
        if source.kind() == io::ErrorKind::AddrInUse {
            return anyhow::anyhow!("{address} is in use by another program; choose another with {option}");
        }
        anyhow::anyhow!("cannot listen on {address} ({source}); choose another with {option}")
    }

    /// For the ring in `root`, whose addresses are settled.
    pub(super) fn of_existing(self, root: &Path) -> anyhow::Error {
        let (address, option, root) = (self.address, self.option, root.display());
        if self.source.kind() == io::ErrorKind::AddrInUse {
            return anyhow::anyhow!(
                "{address} is in use: the ring in {root} already runs, or another program took its port; \
                 stop that one, or make another ring with --data DIR {option}"
            );
        }
        anyhow::anyhow!(
            "cannot listen on {address} ({}), where the ring in {root} lives; make another ring with --data DIR {option}",
            self.source
        )
    }
}
