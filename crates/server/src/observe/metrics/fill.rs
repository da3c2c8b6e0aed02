//! The fill of every queue, buffer and map that clients and operators can fill,
//! each beside its limit (rule 42), and what was refused at the limits.
//!
//! Not here: the counting (`crate::fill`).

use super::{Exposition, Metrics};
use crate::fill::{CONNECTIONS_MAX, WATCHERS_MAX};
use raftlet_kv::Scripts;

impl Metrics {
    pub(super) fn put_fill(&self, out: &mut Exposition) {
        let (fill, limits) = (&self.clients_fill, &self.limits);
        out.gauge("clients_held_bytes", "What all clients make us hold.", fill.held_bytes);
        let client = &fill.fullest;
        let gauges = [
            (
                "client_pipeline_len",
                "Unanswered requests.",
                client.pipeline_len,
                limits.pipeline_len_max,
            ),
            ("client_pipeline_bytes", "Their bytes.", client.held_bytes, limits.pipeline_bytes_max),
            (
                "client_output_bytes",
                "Untaken replies.",
                client.output_bytes,
                limits.output_bytes_max,
            ),
            (
                "client_transaction_len",
                "Queued commands.",
                client.transaction_len,
                limits.transaction_len_max,
            ),
            (
                "client_transaction_bytes",
                "Their bytes.",
                client.transaction_bytes,
                limits.transaction_bytes_max,
            ),
        ];
        for (name, help, value, limit) in gauges {
            out.gauge(name, &format!("{help} The fullest client."), value);
            out.gauge(&format!("{name}_max"), "The limit of each client.", limit);
        }
        out.gauge("keys_bytes_max", "--maxmemory; 0: none.", self.memory_bytes_max);
        out.gauge("scripts_loaded", "Spellings of scripts.", self.scripts_loaded);
        out.gauge("scripts_loaded_max", "Their limit.", Scripts::LEN_MAX);
        out.gauge("admin_connections", "Admin connections.", self.admin_connections);
        out.gauge("admin_connections_max", "Their limit.", CONNECTIONS_MAX);
        out.gauge("dashboard_watchers", "Live dashboards.", self.dashboard_watchers);
        out.gauge("dashboard_watchers_max", "Their limit.", WATCHERS_MAX);
        let clients = &self.status.clients;
        let counters = [
            ("clients_unauthenticated_closed_total", "Too slow.", clients.unauthenticated_closed),
            ("clients_wrong_passwords_total", "Wrong passwords.", clients.wrong_passwords),
            ("clients_out_of_memory_total", "At --maxmemory.", clients.out_of_memory),
            ("clients_transactions_too_big_total", "Refused.", clients.transactions_too_big),
            ("clients_replies_too_big_total", "Replaced.", clients.replies_too_big),
            ("clients_requests_too_big_total", "Closed for it.", clients.requests_too_big),
            ("clients_protocol_errors_total", "Closed for it.", clients.protocol_errors),
        ];
        for (name, help, value) in counters {
            out.counter(name, help, value);
        }
    }
}
