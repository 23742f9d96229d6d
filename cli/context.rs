//! All that a command may touch: the data directory, the way to the daemon, the output.

use std::cell::OnceCell;

use loopsy_shared::{
    client::{Client, Local},
    paths::DataDir,
};

use crate::{args::Global, error::Error, output::Output};

/// The context of one command. Config and client are made when they are first needed.
#[derive(Debug)]
pub(crate) struct Ctx {
    /// The data directory.
    pub dir: DataDir,
    /// How to print.
    pub out: Output,
    local: OnceCell<Local>,
    client: OnceCell<Client>,
}

impl Ctx {
    /// For the data directory that the options name.
    ///
    /// # Errors
    /// When neither they nor HOME name one.
    pub(crate) fn new(global: &Global, out: Output) -> Result<Self, Error> {
        let dir = match &global.data_dir {
            Some(dir) => DataDir::new(dir),
            None => DataDir::default_location(),
        };
        let dir = dir.map_err(|e| Error::failure(format!("The data directory cannot be found: {e}.")).hint("Name one with `--data-dir DIR`."))?;
        Ok(Self { dir, out, local: OnceCell::new(), client: OnceCell::new() })
    }

    /// The data directory's config and runtime file.
    ///
    /// # Errors
    /// When there is none or it cannot be read.
    pub(crate) fn local(&self) -> Result<&Local, Error> {
        if let Some(local) = self.local.get() {
            return Ok(local);
        }
        let loaded = Local::load(self.dir.clone())?;
        Ok(self.local.get_or_init(|| loaded))
    }

    /// The way to the local daemon.
    ///
    /// # Errors
    /// When the data directory cannot be used.
    pub(crate) fn client(&self) -> Result<&Client, Error> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let made = self.local()?.client()?;
        Ok(self.client.get_or_init(|| made))
    }

    /// The way to a peer, or to the local daemon itself when none is named.
    ///
    /// # Errors
    /// As [`Ctx::client`].
    pub(crate) fn at(&self, peer: Option<&str>) -> Result<Client, Error> {
        let client = self.client()?;
        Ok(peer.map_or_else(|| client.clone(), |peer| client.at(peer)))
    }
}
