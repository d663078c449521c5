//! The settings file of both programs: where the daemon listens, and who signs.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use heka_config::{
    FieldProblems, MAX_FILE_BYTES, PluginConfig, Problem, Problems, Scope, Secret, Size, Span, Tls,
};
use heka_wire::{MESSAGE_BYTES_MAX_DEFAULT, SignatureHash, Signer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tell;

/// What the settings file holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where the daemon's TcpInput listens, `host:port`.
    #[schemars(extend("x-required" = true))]
    pub(crate) ip_address: String,
    /// Who signs the message.
    pub(crate) signer: SignerSettings,
    /// Connects with TLS.
    pub(crate) use_tls: bool,
    /// Settings of TLS.
    pub(crate) tls: Tls,
    /// Longest message that the daemon accepts, as in its own section.
    pub(crate) max_message_size: Size,
}

/// Who signs, and with which key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SignerSettings {
    /// Name of the signer; empty for a message without signature.
    pub(crate) name: String,
    /// Hash function of the signature, `md5` or `sha1`.
    pub(crate) hmac_hash: String,
    /// Key that the daemon has as `[NAME.signer.SIGNER_VERSION]`.
    pub(crate) hmac_key: Secret,
    /// Version of the key.
    pub(crate) version: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ip_address: String::new(),
            signer: SignerSettings::default(),
            use_tls: false,
            tls: Tls::default(),
            max_message_size: Size::new(MESSAGE_BYTES_MAX_DEFAULT as u64),
        }
    }
}

impl PluginConfig for Settings {
    fn validate(&self, problems: &mut FieldProblems) {
        let port = self.ip_address.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        let fits = matches!(port, Some(Ok(1..)));
        problems.require(fits, "ip_address", "must be host:port");
        let text = "is not possible yet; leave it out, and use a network that can be trusted";
        problems.require(!self.use_tls, "use_tls", text);
        problems.nested("signer", |problems| self.signer.validate(problems));
    }
}

impl PluginConfig for SignerSettings {
    fn validate(&self, problems: &mut FieldProblems) {
        if !matches!(self.hmac_hash.as_str(), "" | "md5" | "sha1") {
            problems.warn("hmac_hash", "is neither md5 nor sha1, and counts as md5");
        }
        if self.name.is_empty() {
            problems.warn("name", "is empty: the message goes out without a signature");
            return;
        }
        let text = "must not be empty";
        problems.require(!self.hmac_key.is_empty(), "hmac_key", text);
    }
}

impl Settings {
    /// Reads the file; warnings go to standard error.
    ///
    /// # Errors
    /// If it cannot be read, or holds no such settings.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = read_file(path, MAX_FILE_BYTES)?;
        let name = path.display().to_string();
        let (table, mut found) = heka_config::parse_bytes(&bytes);
        let scope = Scope { file: Some(&name), section: "", span: Span::NONE };
        let settings = match found.has_errors() {
            true => None,
            false => heka_config::decode_table::<Self>(&table, &scope, &mut found),
        };
        let mut problems = Problems::new();
        for problem in &found {
            problems.push(Problem { file: Some(name.clone()), section: None, ..problem.clone() });
        }
        told(problems)?;
        settings.with_context(|| format!("cannot use {name}"))
    }

    /// Who signs; nobody if no name is given.
    pub(crate) fn signer(&self) -> Option<Signer> {
        let signer = &self.signer;
        let hash = SignatureHash::from_name(&signer.hmac_hash);
        let key = signer.hmac_key.expose().as_bytes();
        (!signer.name.is_empty()).then(|| Signer::new(&signer.name, signer.version, hash, key))
    }

    /// Longest message in bytes.
    pub(crate) fn message_bytes_max(&self) -> usize {
        self.max_message_size.as_usize()
    }
}

/// Reads a whole file of at most so many bytes.
///
/// # Errors
/// If it cannot be read, or is longer.
pub(crate) fn read_file(path: &Path, bytes_max: u64) -> anyhow::Result<Vec<u8>> {
    let shown = path.display();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(bytes_max + 1).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read {shown}"))?;
    if bytes.len() as u64 > bytes_max {
        bail!("{shown} is longer than {bytes_max} bytes");
    }
    Ok(bytes)
}

/// Passes on warnings, and fails with all problems if one of them is an error.
///
/// # Errors
/// If there is an error among them.
pub(crate) fn told(mut problems: Problems) -> anyhow::Result<()> {
    problems.sort();
    let text = problems.to_string();
    if problems.has_errors() {
        bail!("nothing was sent\n{}", text.trim_end());
    }
    if !text.is_empty() {
        tell(&format!("{}\n", text.trim_end()));
    }
    Ok(())
}
