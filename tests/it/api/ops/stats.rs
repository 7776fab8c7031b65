//! `/stats` on a set of tickets whose figures are known.

use reqwest::Method;
use serde_json::json;
use tributary::model::Role;

use super::{MAIL, letter, queue, sql};
use crate::api::refused;
use crate::support::app::App;

const DAY: i64 = 86_400_000;
/// 2026-03-02T00:00:00Z
const START: i64 = 1_772_409_600_000;

#[tokio::test]
async fn the_figures_of_a_known_set_are_right() {
    let other = MAIL.replace("channels.mail", "channels.other").replace("support@", "sales@");
    let app = App::start(&format!("{MAIL}{other}")).await;
    // channel, opened (ms after START), answered after, solved after, tag
    let set = [
        ("mail", 0, Some(60_000), Some(600_000), Some("refund")),
        ("mail", 1_000, Some(120_000), None, Some("refund")),
        ("mail", DAY, Some(600_000), Some(1_200_000), None),
        ("other", DAY + 5_000, None, None, Some("login")),
        ("mail", 40 * DAY, Some(1), Some(1), None),
    ];
    for (number, (channel, opened, answered, solved, tag)) in set.into_iter().enumerate() {
        let ticket = app.receive(channel, letter(number)).await.ticket;
        if answered.is_some() {
            queue(&app, ticket, "answer").await;
        }
        let id = ticket.simple();
        let at = START + opened;
        let moment =
            |after: Option<i64>| after.map_or("NULL".to_owned(), |after| (at + after).to_string());
        sql(
            &app,
            &format!(
                "UPDATE ticket SET created_at = {at}, first_response_at = {}, solved_at = {} WHERE id = x'{id}';
                 UPDATE message SET sent_at = {at} WHERE ticket = x'{id}';",
                moment(answered),
                moment(solved)
            ),
        )
        .await;
        if let Some(tag) = tag {
            let row = format!("INSERT INTO ticket_tag (ticket, tag) VALUES (x'{id}', '{tag}')");
            sql(&app, &row).await;
        }
    }
    let api = app.api(Role::ReadOnly);
    let span = "from=2026-03-02T00:00:00Z&to=2026-03-12T00:00:00Z";
    let stats = api.get(&format!("/stats?{span}")).await;
    let figures = |group: &serde_json::Value| {
        json!([
            group["tickets_created"],
            group["tickets_solved"],
            group["messages_in"],
            group["messages_out"],
            group["first_response"]["median"],
            group["resolution"]["mean"]
        ])
    };
    assert_eq!(figures(&stats["total"]), json!([4, 2, 4, 3, 120.0, 900.0]), "{stats:#}");
    assert_eq!(stats["total"]["first_response"]["count"], 3);
    assert_eq!(stats["total"]["first_response"]["mean"], 260.0);
    assert_eq!(stats["total"]["first_response"]["p90"], 600.0);
    assert_eq!(figures(&stats["by_channel"]["mail"]), json!([3, 2, 3, 3, 120.0, 900.0]));
    assert_eq!(figures(&stats["by_channel"]["other"]), json!([1, 0, 1, 0, null, null]));
    assert_eq!(figures(&stats["by_day"]["2026-03-02"]), json!([2, 1, 2, 2, 120.0, 600.0]));
    assert_eq!(figures(&stats["by_day"]["2026-03-03"]), json!([2, 1, 2, 1, 600.0, 1200.0]));
    assert_eq!(stats["by_tag"]["refund"]["tickets_created"], 2);
    assert_eq!(stats["by_tag"]["login"]["tickets_solved"], 0);
    let one = api.get(&format!("/stats?{span}&channel=other")).await;
    assert_eq!(one["total"]["tickets_created"], 1);
    for bad in [
        "from=2026-03-02T00:00:00Z&to=2026-03-02T00:00:00Z",
        "from=2020-01-01T00:00:00Z",
        "to=yesterday",
    ] {
        refused(api.request(Method::GET, &format!("/stats?{bad}")), 400, "bad_query").await;
    }
}
