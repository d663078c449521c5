//! The only list of plugins; its order is that of the reference.

use heka_plugin::PluginDef;
use heka_plugin_core as core;
use heka_plugin_demo as demo;
use heka_plugin_file as file;
use heka_plugin_logstream as logstream;
use heka_plugin_net as net;
use heka_plugin_parse as parse;
use heka_plugin_regex as regex;
use heka_plugin_sandbox as sandbox;

/// All plugin types that this daemon knows.
pub const PLUGINS: &[PluginDef] = &[
    PluginDef::input::<demo::DemoInput>(),
    PluginDef::input::<logstream::LogstreamerInput>(),
    PluginDef::input::<sandbox::SandboxInput>(),
    PluginDef::input::<core::StdinInput>(),
    PluginDef::input::<net::TcpInput>(),
    PluginDef::input::<net::UdpInput>(),
    PluginDef::splitter::<core::HekaFramingSplitter>(),
    PluginDef::splitter::<core::NullSplitter>(),
    PluginDef::splitter::<regex::PatternGroupingSplitter>(),
    PluginDef::splitter::<regex::RegexSplitter>(),
    PluginDef::splitter::<core::TokenSplitter>(),
    PluginDef::decoder::<parse::AccessLogDecoder>(),
    PluginDef::decoder::<parse::JsonDecoder>(),
    PluginDef::decoder::<parse::LogfmtDecoder>(),
    PluginDef::decoder::<core::MultiDecoder>(),
    PluginDef::decoder::<regex::PayloadRegexDecoder>(),
    PluginDef::decoder::<core::ProtobufDecoder>(),
    PluginDef::decoder::<sandbox::SandboxDecoder>(),
    PluginDef::decoder::<core::ScribbleDecoder>(),
    PluginDef::decoder::<parse::SyslogDecoder>(),
    PluginDef::filter::<core::CounterFilter>(),
    PluginDef::filter::<sandbox::SandboxFilter>(),
    PluginDef::filter::<sandbox::SandboxManagerFilter>(),
    PluginDef::encoder::<parse::JsonEncoder>(),
    PluginDef::encoder::<core::PayloadEncoder>(),
    PluginDef::encoder::<core::ProtobufEncoder>(),
    PluginDef::encoder::<core::RstEncoder>(),
    PluginDef::encoder::<sandbox::SandboxEncoder>(),
    PluginDef::output::<demo::DemoOutput>(),
    PluginDef::output::<file::FileOutput>(),
    PluginDef::output::<core::LogOutput>(),
    PluginDef::output::<core::NullOutput>(),
    PluginDef::output::<sandbox::SandboxOutput>(),
    PluginDef::output::<net::TcpOutput>(),
    PluginDef::output::<net::UdpOutput>(),
];
