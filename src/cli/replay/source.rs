//! Where samples come from: the proxy that runs, or its file if none does.

use crate::cli::client::{AdminError, Client};
use crate::cli::output;
use crate::config::Settings;
use crate::store::samples::{Archive, FILE, Page, Query};
use anyhow::{Context, Result};
use form_urlencoded::Serializer;
use std::collections::BTreeMap;

/// Samples of a page.
const PAGE: usize = 200;

/// Where samples come from.
#[derive(Debug)]
pub(super) enum Source {
    /// A proxy that runs.
    Proxy(Client),
    /// The file that it has left.
    File(Box<Archive>),
}

impl Source {
    /// The proxy, unless none can be reached and its file can be opened. A proxy that was named is asked, and nothing else.
    pub(super) fn find(client: Client, named: bool, settings: &Settings) -> Result<Self> {
        let Err(error) = client.get("/livez") else {
            return Ok(Self::Proxy(client));
        };
        let gone = matches!(
            error.downcast_ref::<AdminError>(),
            Some(AdminError::Unreachable { .. })
        );
        let path = settings.server.state_dir.join(FILE);
        if named || !gone || !path.exists() {
            return Err(error);
        }
        let file = Archive::open(&path)
            .with_context(|| format!("{error:#}, and its samples can't be read"))?;
        output::note(format!("{error:#}; reading {}", path.display()));
        Ok(Self::File(Box::new(file)))
    }

    /// Gives every page to whoever reads it, newest samples first.
    pub(super) fn pages(&self, mut read: impl FnMut(Page)) -> Result<()> {
        let mut before = None;
        loop {
            let page = self.page(before)?;
            before = page.next;
            read(page);
            if before.is_none() {
                return Ok(());
            }
        }
    }

    fn page(&self, before: Option<u64>) -> Result<Page> {
        match self {
            Self::File(file) => Ok(file.page(&Query {
                route: None,
                cause: None,
                before,
                limit: PAGE,
            })?),
            Self::Proxy(client) => {
                let mut query = Serializer::new(String::new());
                query.append_pair("limit", &PAGE.to_string());
                if let Some(before) = before {
                    query.append_pair("before", &before.to_string());
                }
                let text = client.get_text(&format!("/api/samples?{}", query.finish()))?;
                serde_json::from_slice(&text).context("the answer is no page of samples")
            }
        }
    }

    /// The diff rate of each route since the proxy started, where it runs and has one.
    pub(super) fn rates(&self) -> Result<BTreeMap<String, f64>> {
        let Self::Proxy(client) = self else {
            return Ok(BTreeMap::new());
        };
        let answer = client.get("/api/routes")?;
        let routes = answer["routes"].as_array().into_iter().flatten();
        let rates = routes.filter_map(|route| {
            let name = route["name"].as_str()?;
            Some((name.to_owned(), route["diff_rate"].as_f64()?))
        });
        Ok(rates.collect())
    }
}
