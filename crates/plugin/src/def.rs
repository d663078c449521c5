//! How a plugin is listed.

use std::sync::Arc;

use heka_config::{
    Category, CommonConsumer, CommonInput, CommonSplitter, NoCommon, OptionDoc, PluginConfig,
    Problems, Section,
};

use crate::{Decoder, Encoder, Filter, Input, Output, Splitter, StartContext, StartError};

/// Whether an output wraps records in Heka frames if its section does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// No.
    #[default]
    Never,
    /// If its encoder writes protobuf.
    WithProtobuf,
    /// Yes.
    Always,
}

/// What a plugin type sets where its section says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Defaults {
    /// Section name of the splitter; `None`: `NullSplitter`.
    pub splitter: Option<&'static str>,
    /// Section name of the decoder; `None`: no decoder.
    pub decoder: Option<&'static str>,
    /// Section name of the encoder; `None`: no encoder.
    pub encoder: Option<&'static str>,
    /// `message_matcher`; `None`: the section must say.
    pub message_matcher: Option<&'static str>,
    /// `ticker_interval` in seconds; 0: no ticker.
    pub ticker_interval: u32,
    /// `can_exit`.
    pub can_exit: bool,
    /// `use_framing`.
    pub use_framing: Framing,
    /// `use_message_bytes`, of splitters.
    pub use_message_bytes: bool,
    /// True for an output that cannot work without an encoder.
    pub needs_encoder: bool,
    /// True for an encoder that writes encoded Heka messages.
    pub writes_protobuf: bool,
    /// `use_buffering`, of filters and outputs.
    pub use_buffering: bool,
    /// `buffering.cursor_update_count` where the section has no `buffering` table; 0: the general default.
    pub cursor_update_count: u32,
    /// True for an input that goes on after a crash where everything before is settled.
    pub resumes: bool,
    /// Why an output cannot know whether a message arrived; `None`: it knows.
    pub unconfirmed: Option<&'static str>,
}

/// A plugin type that sets nothing.
pub const NO_DEFAULTS: Defaults = Defaults {
    splitter: None,
    decoder: None,
    encoder: None,
    message_matcher: None,
    ticker_interval: 0,
    can_exit: false,
    use_framing: Framing::Never,
    use_message_bytes: false,
    needs_encoder: false,
    writes_protobuf: false,
    use_buffering: false,
    cursor_update_count: 0,
    resumes: false,
    unconfirmed: None,
};

/// What every plugin of any kind has; the kind's own trait comes beside it.
pub trait Plugin: Sized + Send + 'static {
    /// Type name in the configuration; its suffix is the kind.
    const NAME: &'static str;
    /// Its page of the reference.
    const PAGE: &'static str;
    /// What it sets where its section says nothing.
    const DEFAULTS: Defaults = NO_DEFAULTS;

    /// What the user sets.
    type Config: PluginConfig + Send + Sync + 'static;

    /// Makes an instance. May open files and sockets, may fail, may be called again.
    ///
    /// # Errors
    /// If it cannot run.
    fn start(config: &Self::Config, context: &StartContext) -> Result<Self, StartError>;

    /// Section names of other plugins that a configuration mentions in the plugin's own options.
    fn references(config: &Self::Config) -> Vec<String> {
        let _config = config;
        Vec::new()
    }
}

/// A plugin section that was read and checked: makes instances.
pub trait Prepared<K: ?Sized>: Send + Sync {
    /// Makes an instance.
    ///
    /// # Errors
    /// If it cannot run.
    fn start(&self, context: &StartContext) -> Result<Box<K>, StartError>;

    /// Section names of other plugins that it mentions.
    fn references(&self) -> Vec<String>;

    /// Its options as they are in force, secrets as stars.
    fn options(&self) -> serde_json::Value;
}

/// Reads a section: the settings that its category shares, and what makes instances. `None` after problems.
pub type Prepare<C, K> = fn(&Section, &mut Problems) -> Option<(C, Arc<dyn Prepared<K>>)>;

/// Makes instances of one of the six kinds.
#[derive(Clone, Copy)]
pub enum Maker {
    /// Of an input.
    Input(Prepare<CommonInput, dyn Input>),
    /// Of a splitter.
    Splitter(Prepare<CommonSplitter, dyn Splitter>),
    /// Of a decoder.
    Decoder(Prepare<NoCommon, dyn Decoder>),
    /// Of a filter.
    Filter(Prepare<CommonConsumer, dyn Filter>),
    /// Of an encoder.
    Encoder(Prepare<NoCommon, dyn Encoder>),
    /// Of an output.
    Output(Prepare<CommonConsumer, dyn Output>),
}

/// A plugin type: the entry in the daemon's list.
#[derive(Clone, Copy)]
pub struct PluginDef {
    /// Type name.
    pub name: &'static str,
    /// Which of the six kinds it is.
    pub kind: Category,
    /// Page of the reference, Markdown.
    pub page: &'static str,
    /// What it sets where its section says nothing.
    pub defaults: Defaults,
    /// Its options, for reference and help.
    pub options: fn() -> Vec<OptionDoc>,
    /// Reads its section.
    pub maker: Maker,
}

impl std::fmt::Debug for PluginDef {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "PluginDef({})", self.name)
    }
}

impl PluginDef {
    /// Lists an input.
    #[must_use]
    pub const fn input<T: Plugin + Input>() -> Self {
        Self::new::<T>(
            Category::Input,
            Maker::Input(|section, problems| {
                read::<T, CommonInput, dyn Input>(section, problems, |plugin| Box::new(plugin))
            }),
        )
    }

    /// Lists a splitter.
    #[must_use]
    pub const fn splitter<T: Plugin + Splitter>() -> Self {
        Self::new::<T>(
            Category::Splitter,
            Maker::Splitter(|section, problems| {
                read::<T, CommonSplitter, dyn Splitter>(section, problems, |plugin| {
                    Box::new(plugin)
                })
            }),
        )
    }

    /// Lists a decoder.
    #[must_use]
    pub const fn decoder<T: Plugin + Decoder>() -> Self {
        Self::new::<T>(
            Category::Decoder,
            Maker::Decoder(|section, problems| {
                read::<T, NoCommon, dyn Decoder>(section, problems, |plugin| Box::new(plugin))
            }),
        )
    }

    /// Lists a filter.
    #[must_use]
    pub const fn filter<T: Plugin + Filter>() -> Self {
        Self::new::<T>(
            Category::Filter,
            Maker::Filter(|section, problems| {
                read::<T, CommonConsumer, dyn Filter>(section, problems, |plugin| Box::new(plugin))
            }),
        )
    }

    /// Lists an encoder.
    #[must_use]
    pub const fn encoder<T: Plugin + Encoder>() -> Self {
        Self::new::<T>(
            Category::Encoder,
            Maker::Encoder(|section, problems| {
                read::<T, NoCommon, dyn Encoder>(section, problems, |plugin| Box::new(plugin))
            }),
        )
    }

    /// Lists an output.
    #[must_use]
    pub const fn output<T: Plugin + Output>() -> Self {
        Self::new::<T>(
            Category::Output,
            Maker::Output(|section, problems| {
                read::<T, CommonConsumer, dyn Output>(section, problems, |plugin| Box::new(plugin))
            }),
        )
    }

    const fn new<T: Plugin>(kind: Category, maker: Maker) -> Self {
        let options = heka_config::describe::<T::Config>;
        Self { name: T::NAME, kind, page: T::PAGE, defaults: T::DEFAULTS, options, maker }
    }
}

/// A section's configuration, read.
struct Reader<T: Plugin, K: ?Sized> {
    config: T::Config,
    erase: fn(T) -> Box<K>,
}

fn read<T: Plugin, C: PluginConfig, K: ?Sized + 'static>(
    section: &Section,
    problems: &mut Problems,
    erase: fn(T) -> Box<K>,
) -> Option<(C, Arc<dyn Prepared<K>>)> {
    let (common, config) = section.decode::<C, T::Config>(problems)?;
    Some((common, Arc::new(Reader { config, erase })))
}

impl<T: Plugin, K: ?Sized> Prepared<K> for Reader<T, K> {
    fn start(&self, context: &StartContext) -> Result<Box<K>, StartError> {
        T::start(&self.config, context).map(self.erase)
    }

    fn references(&self) -> Vec<String> {
        T::references(&self.config)
    }

    fn options(&self) -> serde_json::Value {
        serde_json::to_value(&self.config).unwrap_or_default()
    }
}
