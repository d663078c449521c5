//! Filters that end by themselves, say something at the end, and look at their files again.

use heka_engine::{Control, Exit};

use crate::Running;
use crate::plugins::lines_of;

const DONE: Exit = Exit { code: 0, undelivered: 0 };

/// Lines in, one moody filter, what it and the daemon say out.
fn config(key: &str, lines: &str, filter: &str) -> String {
    format!(
        "[hekad]\nshutdown_timeout = \"2s\"\n[in_{key}]\ntype = \"LinesInput\"\nlines = {lines}\n\
         [moody]\ntype = \"MoodyFilter\"\nkey = \"{key}.seen\"\nmessage_matcher = \"Type == 'line'\"\n{filter}\n\
         [out]\ntype = \"CollectOutput\"\nkey = \"{key}\"\nmessage_matcher = \"Type != 'line' && Logger == 'hekad'\"\n"
    )
}

fn sorted(key: &str) -> Vec<String> {
    let mut lines = lines_of(key);
    lines.sort();
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_ends_is_not_started_again_and_its_last_messages_arrive() {
    let filter = "can_exit = true\nexit_at = \"b\"\n[moody.retries]\ndelay = \"1ms\"\n";
    let running = Running::start(&config("exit", "['a', 'b']", filter));
    running.until("both messages", |_| lines_of("exit").len() == 2).await;
    let told = "moody (type MoodyFilter) terminated. Error: enough";
    assert_eq!(sorted("exit"), ["before the end", told]);
    let filter = running.handles.filters().next().unwrap().consumer.clone();
    assert_eq!(filter.counts().delivered(), 2, "what ended it is dealt with");
    assert_eq!(running.stop().await, DONE);
    assert_eq!(lines_of("exit.seen"), ["started", "a", "b"]);
    assert_eq!(lines_of("in_exit.settled"), ["true"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_announces_its_end_is_not_announced_once_more() {
    let filter = "can_exit = true\nexit_at = \"b\"\nannounces = true\n";
    let running = Running::start(&config("announced", "['a', 'b']", filter));
    running.until("the end", |handles| handles.filters().all(|it| it.consumer.is_closed())).await;
    assert_eq!(running.stop().await, DONE);
    assert_eq!(lines_of("announced"), ["enough"]);
}

/// What it leaves unseen is told when it ends, and makes no failure of the daemon's end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_filter_that_ended_did_not_see_is_not_undelivered() {
    let lines: Vec<String> = (0..300).map(|number| format!("'{number}'")).collect();
    let filter = "can_exit = true\nexit_at = \"0\"\n";
    let running = Running::start(&config("unseen", &format!("[{}]", lines.join(",")), filter));
    running.until("the end", |_| lines_of("unseen").len() == 2).await;
    assert_eq!(running.stop().await, DONE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_ends_and_must_not_ends_the_daemon() {
    let filter = "exit_at = \"b\"\nannounces = true\n";
    let exit = Running::start(&config("must_not", "['a', 'b']", filter)).ended().await;
    assert_eq!(exit, Exit { code: 1, undelivered: 0 });
    assert_eq!(lines_of("must_not"), ["enough"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_filter_says_at_the_stop_arrives_also_at_filters_behind_it() {
    let behind = "last_words = \"bye\"\n\
                  [second]\ntype = \"MoodyFilter\"\nkey = \"bye.second\"\nlast_words = \"good night\"\n\
                  message_matcher = \"Payload == 'bye'\"\n";
    let running = Running::start(&config("bye", "['a']", behind));
    running.until("the line", |_| lines_of("bye.seen").len() == 2).await;
    assert_eq!(running.stop().await, DONE);
    assert_eq!(sorted("bye"), ["bye", "good night"]);
    assert_eq!(lines_of("bye.second"), ["started", "bye"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_wakes_a_filter_that_has_nothing_to_do() {
    let running = Running::start(&config("reload", "[]", ""));
    for count in 1..=2 {
        running.control.send(Control::Reopen).await.unwrap();
        running.until("the reload", |_| lines_of("reload").len() == count).await;
    }
    assert_eq!(running.stop().await, DONE);
    assert_eq!(lines_of("reload.seen"), ["started", "reloaded", "reloaded"]);
}
