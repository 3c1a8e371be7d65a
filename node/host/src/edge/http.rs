//! `/metrics`, `/livez`, `/readyz`: what a monitor and a load balancer ask.

use crate::inbox::{Account, Control, Doors};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::time::Duration;
use tokio::sync::oneshot;

#[derive(Clone)]
pub struct Http {
    pub doors: Doors,
    pub answer_timeout: Duration,
}

/// Asks the drive; `Err` says why there is no answer.
pub async fn ask<T>(
    doors: &Doors,
    within: Duration,
    question: impl FnOnce(oneshot::Sender<T>) -> Control,
) -> Result<T, String> {
    let (to, answer) = oneshot::channel();
    let asked = async {
        doors.control.send(question(to)).await.map_err(|_| "the node is over".to_owned())?;
        answer.await.map_err(|_| "the node ended before it answered".to_owned())
    };
    tokio::time::timeout(within, asked)
        .await
        .unwrap_or_else(|_| Err(format!("the node did not answer in {within:?}")))
}

impl Http {
    pub fn router(self) -> Router {
        Router::new()
            .route("/metrics", get(metrics))
            .route("/livez", get(livez))
            .route("/readyz", get(readyz))
            .with_state(self)
    }

    async fn account(&self) -> Result<Account, String> {
        ask(&self.doors, self.answer_timeout, Control::Account).await
    }
}

async fn metrics(State(http): State<Http>) -> Response {
    match ask(&http.doors, http.answer_timeout, Control::Metrics).await {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(why) => no(why),
    }
}

/// Alive: the loop turns.
async fn livez(State(http): State<Http>) -> Response {
    match http.account().await {
        Ok(_) => "ok\n".into_response(),
        Err(why) => no(why),
    }
}

/// Ready: the node takes reads and writes.
async fn readyz(State(http): State<Http>) -> Response {
    match http.account().await.map(|account| account.unready()) {
        Ok(None) => "ready\n".into_response(),
        Ok(Some(why)) | Err(why) => no(why),
    }
}

fn no(why: String) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response()
}
