//! Events: appended with the change that they tell of or not at all, read in order, and noticed across processes.

use std::time::Duration;

use countersign::{
    app::App,
    store::{
        Writer,
        events::{self, Event, EventKind},
    },
};
use countersign_core::protocol::VerificationId;
use serde_json::json;
use uuid::Uuid;

use crate::support::Fixture;

/// More than a wait can take when it works; a bound and no timing.
const PATIENCE: Duration = Duration::from_secs(20);

async fn append(app: &App, writer: &mut Writer, number: u128) -> i64 {
    let event = Event {
        kind: EventKind::Progressed,
        verification: Some(VerificationId(Uuid::from_u128(number))),
        package: Some("left-pad".parse().unwrap()),
        actor: "test".to_owned(),
        at: app.now(),
        data: json!({ "number": number.to_string() }),
    };
    events::append(writer, &event).await.unwrap()
}

#[tokio::test]
async fn events_rise_and_are_read_after_a_number() {
    let fixture = Fixture::new().await;
    let app = &fixture.app;
    let mut writer = app.store.write().await.unwrap();
    let mut numbers = Vec::new();
    for number in [1, 2, 1] {
        numbers.push(append(app, &mut writer, number).await);
    }
    writer.commit().await.unwrap();
    assert!(numbers.is_sorted());
    let mut reader = app.store.read().await.unwrap();
    let after = events::after(&mut reader, numbers[0], None, 10).await.unwrap();
    assert_eq!(after.iter().map(|one| one.seq).collect::<Vec<_>>(), numbers[1..]);
    let first = VerificationId(Uuid::from_u128(1));
    let about = events::after(&mut reader, 0, Some(first), 10).await.unwrap();
    assert_eq!(about.len(), 2);
    assert_eq!(about[0].event.data, json!({ "number": "1" }));
    assert_eq!(events::after(&mut reader, 0, None, 1).await.unwrap().len(), 1);
    assert_eq!(events::last(&mut reader).await.unwrap(), numbers[2]);
}

#[tokio::test]
async fn a_transaction_that_is_dropped_never_was() {
    let fixture = Fixture::new().await;
    let app = &fixture.app;
    let mut writer = app.store.write().await.unwrap();
    append(app, &mut writer, 1).await;
    drop(writer);
    let mut reader = app.store.read().await.unwrap();
    assert_eq!(events::last(&mut reader).await.unwrap(), 0);
}

#[tokio::test]
async fn whoever_waits_is_woken_by_this_and_by_another_process() {
    let fixture = Fixture::new().await;
    let other = fixture.another_process().await;
    for writing in [&fixture.app, &other] {
        let seen = events::last(&mut writing.store.read().await.unwrap()).await.unwrap();
        let waiting = fixture.app.store.events();
        let write = async {
            let mut writer = writing.store.write().await.unwrap();
            let seq = append(writing, &mut writer, 1).await;
            writer.commit().await.unwrap();
            seq
        };
        let both =
            async { tokio::join!(waiting.wait_after(seen), waiting.wait_after(seen), write) };
        let (one, two, seq) = tokio::time::timeout(PATIENCE, both).await.expect("it was noticed");
        one.and(two).unwrap();
        assert!(seq > seen);
    }
}

#[tokio::test]
async fn what_has_happened_already_is_not_waited_for() {
    let fixture = Fixture::new().await;
    let app = &fixture.app;
    let mut writer = app.store.write().await.unwrap();
    append(app, &mut writer, 1).await;
    writer.commit().await.unwrap();
    let other = fixture.another_process().await;
    for store in [&app.store, &other.store] {
        let waiting = store.events();
        tokio::time::timeout(PATIENCE, waiting.wait_after(0)).await.expect("at once").unwrap();
    }
}
