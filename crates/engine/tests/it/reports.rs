//! The report, as JSON and as text.

use heka_engine::{Control, Report};

use crate::Running;
use crate::plugins::lines_of;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_shows_every_plugin_and_its_ledger() {
    let text = "[in]\ntype = \"LinesInput\"\nlines = ['a', 'skip', 'b']\n\
                [echo]\ntype = \"EchoFilter\"\nmessage_type = \"x\"\nmessage_matcher = \"Payload == 'a'\"\n\
                [out]\ntype = \"CollectOutput\"\nkey = \"report\"\nmessage_matcher = \"Payload =~ /^[ab]/\"\n";
    let running = Running::start(text);
    running
        .until("delivery", |handles| {
            lines_of("report").len() == 3
                && handles.outputs().all(|it| it.consumer.counts().held() == 0)
        })
        .await;
    running.control.send(Control::Report).await.unwrap();
    let report = Report::of(&running.handles);
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    let count = |section: &str, metric: &str| json[section][0][metric]["value"].as_u64();
    assert_eq!(count("inputs", "ProcessMessageCount"), Some(3));
    assert_eq!(count("inputs", "FilteredMessageCount"), Some(1));
    assert_eq!(count("filters", "InjectMessageCount"), Some(1));
    assert_eq!(count("outputs", "MatchedMessageCount"), Some(3));
    assert_eq!(count("outputs", "ProcessMessageCount"), Some(3));
    assert_eq!(json["outputs"][0]["Name"], "out");
    let text = report.to_text();
    assert!(text.starts_with("========[heka.all-report]========\n\n====Globals====\n"), "{text}");
    assert!(
        text.contains("\n====Splitters====\nNONE\n\n") && text.ends_with("========\n"),
        "{text}"
    );
    assert!(text.contains("\nout:\n    DropMessageCount: 0\n"), "{text}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_goes_into_the_stream_as_messages() {
    let text = "[hekad]\nreport_interval = \"20ms\"\n[in]\ntype = \"LinesInput\"\n\
                [all]\ntype = \"CollectOutput\"\nkey = \"all-report\"\nmessage_matcher = \"Type == 'heka.all-report'\"\n\
                [mem]\ntype = \"CollectOutput\"\nkey = \"memstat\"\nmessage_matcher = \"Type == 'heka.memstat' && Fields[HeapAlloc] > 1000\"\n";
    let running = Running::start(text);
    running
        .until("both", |_| !lines_of("all-report").is_empty() && !lines_of("memstat").is_empty())
        .await;
    let report: serde_json::Value = serde_json::from_str(&lines_of("all-report")[0]).unwrap();
    assert_eq!(report["inputs"][0]["Name"], "in");
    running.stop().await;
}
