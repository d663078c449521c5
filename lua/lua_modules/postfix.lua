-- Parses what the daemons of the mail server Postfix log to syslog.
--
-- Configuration: none. Use, in a decoder:
--   local fields = require "postfix".postfix_match(programname, text, true)
--   -- "postfix/smtp" and its text give nil, or {postfix_queueid =, postfix_status =, postfix_relay_ip = {value =, ..}, ..}
--
-- All keys start with "postfix_" and are listed in postfix.md. Host names and addresses are {value =, representation =}
-- with "ipv4", "ipv6" or "hostname"; whole numbers are {value =, value_type = 2}, durations numbers, the rest is text.

local l = require "lpeg"
local string = require "string"
local ip = require "ip_address"

local P, R, S, C, Cf, Cg, Ct = l.P, l.R, l.S, l.C, l.Cf, l.Cg, l.Ct
local gsub, match = string.gsub, string.match
local pairs, select, tonumber = pairs, select, tonumber

local M = {}

-- Parts -----------------------------------------------------------------------------------------------------------

local digit, space, finish = R "09", S " \t", -P(1)
local digits = digit ^ 1
local decimal = digits * ("." * digits) ^ -1

local function text(name, pattern)
    return Cg(C(pattern), name)
end

local function rest(name)
    return text(name, P(1) ^ 0)
end

-- The text before `stop`, as `name`; `stop` is consumed.
local function before(name, stop)
    stop = P(stop)
    return text(name, (1 - stop) ^ 0) * stop
end

local function to_integer(digits_text)
    return { value = tonumber(digits_text), value_type = 2 }
end

local function integer(name)
    return Cg(digits / to_integer, name)
end

local function number(name)
    return Cg(decimal / tonumber, name)
end

local function one_of(first, ...)
    local pattern = P(first)
    for i = 1, select("#", ...) do pattern = pattern + (select(i, ...)) end
    return pattern
end

local whole_v4, whole_v6 = ip.v4 * finish, ip.v6 * finish

local function to_host(name)
    local representation = "hostname"
    if whole_v4:match(name) then
        representation = "ipv4"
    elseif whole_v6:match(name) then
        representation = "ipv6"
    end
    return { value = name, representation = representation }
end

local function host(name, pattern)
    return Cg(C(pattern) / to_host, name)
end

local address = ip.v4 + ip.v6
local bracket_name = (1 - S "[] ,") ^ 1

-- "name[address]:port"; name and port may be missing.
local function peer(prefix, inside)
    return host(prefix .. "_hostname", bracket_name) ^ -1 * "[" * inside * "]"
        * (":" * (integer(prefix .. "_port") + "unknown")) ^ -1
end

local client = peer("postfix_client", host("postfix_client_ip", address + "unknown"))
local server = "[" * host("postfix_server_ip", address) * "]:" * integer "postfix_server_port"
local relay = peer("postfix_relay", host("postfix_relay_ip", address) + text("postfix_relay_service", (1 - P "]") ^ 1))
local delays = number "postfix_delay_before_qmgr" * "/" * number "postfix_delay_in_qmgr" * "/"
    * number "postfix_delay_conn_setup" * "/" * number "postfix_delay_transmission"

local queue_id = text("postfix_queueid", R("09", "az", "AZ") ^ 1) * ": "
local queue_id_or_none = "NOQUEUE: " + queue_id
local warning = one_of("warning", "fatal", "error", "panic") * ": " * rest "postfix_warning"

local stage = text("postfix_smtp_stage", one_of("CONNECT", "STARTTLS", "HELO", "EHLO", "AUTH", "MAIL", "RCPT",
    "VRFY", "ETRN", "NOOP", "RSET", "QUIT", "BDAT", "XCLIENT", "XFORWARD", "UNKNOWN", "END-OF-MESSAGE", "DATA", "."))
local lost = text("postfix_smtpd_lostconn_data", one_of("lost connection", "timeout", "Connection timed out",
    "too many errors"))
local tls = one_of("Anonymous", "Trusted", "Untrusted", "Verified") * " TLS connection established "
    * ("to " * relay + "from " * client) * ": " * text("postfix_tls_version", (1 - space) ^ 1) * " with cipher "
    * text("postfix_tls_cipher", (1 - space) ^ 1) * " (" * before("postfix_tls_cipher_size", " bits)")

-- "a=b, c=<d>": name and value.
local pair_name = (R("az", "AZ", "09") + S "-_") ^ 1
local pair_value = "<" * C((1 - P ">" * (S ", ;" + finish)) ^ 0) * ">" + C((1 - S ", ") ^ 0)
local pair_separator = P "," ^ -1 * P " " ^ 0
local first_pair = #(pair_name * "=")
local pairs_text = text("postfix_keyvalue_data", first_pair * P(1) ^ 1)

local function pairs_before(stop)
    return text("postfix_keyvalue_data", first_pair * (1 - P(stop)) ^ 0) * stop
end

-- "550 5.1.1 <data>: text; a=b" and the other forms of a refusal.
local pairs_end = "; " * #one_of("from=<", "to=<", "proto=")
local refusal = (integer "postfix_status_code" * " ") ^ -1
    * (text("postfix_status_code_enhanced", digit * "." * digits * "." * digits) * " ") ^ -1
    * ("<" * before("postfix_status_data", ">: ")
        + "Service unavailable; " * (1 - P "[") ^ 0 * "[" * before("postfix_status_data", "] ")) ^ -1
    * before("postfix_status_message", pairs_end) * pairs_text
local action = text("postfix_action", one_of("reject_warning", "reject", "discard", "redirect", "warn", "hold", "filter"))

-- Daemons ---------------------------------------------------------------------------------------------------------

local daemons = {}

local proxy = "proxy-" * text("postfix_proxy_result", one_of("accept", "reject")) * ": "
    * before("postfix_proxy_smtp_stage", ": ")
    * (integer "postfix_proxy_status_code" * (" " * text("postfix_proxy_status_code_enhanced",
        digit * "." * digits * "." * digits)) ^ -1) ^ -1
    * (1 - pairs_end) ^ 0 * pairs_end * pairs_text
local milter_reject = queue_id_or_none * "milter-" * text("postfix_milter_result", (1 - P ":") ^ 1) * ": "
    * before("postfix_milter_message", pairs_end) * pairs_text
daemons.smtpd = (P "disconnect from " + "connect from ") * client
    + lost * " after " * stage * (" (" * digits * " bytes)") ^ -1 * " from " * client
    + text("postfix_action", "SSL_accept error") * " from " * client * ": " * rest "postfix_smtpd_lostconn_data"
    + "improper command pipelining after " * stage * " from " * client
    + tls
    + queue_id_or_none ^ -1 * proxy
    + queue_id_or_none * action * ": " * stage * " from " * client * ": " * refusal
    + milter_reject
    + warning
    + queue_id * pairs_text

local milter_data = ": " * rest "postfix_milter_data"
daemons.cleanup = queue_id * "milter-" * text("postfix_milter_result", (1 - P ":") ^ 1) * ": "
        * before("postfix_milter_message", pairs_end)
        * text("postfix_keyvalue_data", first_pair * (1 - P ": ") ^ 1) * milter_data ^ -1
    + warning
    + queue_id * pairs_text

daemons.qmgr = queue_id * "removed"
    + queue_id * pairs_before(" (queue active)")
    + warning
    + queue_id * pairs_text

daemons.pipe = queue_id * pairs_before " (" * ("delivered via " * before("postfix_pipe_service", " service)")
        + "mail forwarding loop for " * before("postfix_to", ")"))
    + queue_id * pairs_before " ("
    + warning

local delivery = queue_id * text("postfix_keyvalue_data", first_pair * (1 - P " status=") ^ 1) * " status="
    * text("postfix_status", (1 - space) ^ 1)
local response = " (" * text("postfix_smtp_response", (1 - P ")" * finish) ^ 0) * ")"
daemons.smtp = delivery * response ^ -1
    + "connect to " * relay * ": "
    + (queue_id * (P "lost connection" + "timeout" + "conversation")) * " with " * relay
    + queue_id * "host " * relay * " " * (P "said: " + "refused to talk to me: ") * rest "postfix_smtp_response"
    + tls
    + warning
daemons.lmtp = daemons.smtp
daemons.discard = delivery + warning
daemons["local"] = queue_id * pairs_text + warning
daemons.bounce = queue_id * one_of("sender", "postmaster") * " " * one_of("non-delivery", "delivery status", "delay")
        * " notification: " * text("postfix_bounce_queueid", R("09", "az", "AZ") ^ 1)
    + warning

local access = text("postfix_postscreen_access", one_of("PASS OLD", "PASS NEW", "WHITELIST VETO", "WHITELISTED",
    "BLACKLISTED", "ALLOWLIST VETO", "ALLOWLISTED", "DENYLISTED"))
local function violation(first, ...)
    return text("postfix_postscreen_violation", one_of(first, ...))
end
daemons.postscreen = "CONNECT from " * client * " to " * server
    + "DISCONNECT " * client
    + access * " " * client
    + violation "PREGREET" * " " * digits * " after " * number "postfix_postscreen_violation_time" * " from " * client
    + violation "HANGUP" * " after " * number "postfix_postscreen_violation_time" * " from " * client
    + violation "DNSBL" * " rank " * integer "postfix_postscreen_dnsbl_rank" * " for " * client
    + violation("COMMAND TIME LIMIT", "COMMAND COUNT LIMIT", "COMMAND LENGTH LIMIT", "COMMAND PIPELINING",
        "NON-SMTP COMMAND", "BARE NEWLINE", "BDAT") * " from " * client * " after " * stage
    + "NOQUEUE: reject: CONNECT from " * client * ": "
        * text("postfix_postscreen_toobusy_data", one_of("too many connections", "all server ports busy"))
    + queue_id_or_none * action * ": " * stage * " from " * client * ": " * refusal
    + "cache " * (1 - P " full cleanup") ^ 1 * " full cleanup: retained=" * integer "postfix_postscreen_cache_retained"
        * " dropped=" * integer "postfix_postscreen_cache_dropped"
    + warning

daemons.dnsblog = "addr " * host("postfix_client_ip", address) * " listed by domain "
        * before("postfix_dnsbl_domain", " as ") * text("postfix_dnsbl_result", (1 - space) ^ 1)
    + warning

local anvil_client = " for (" * text("postfix_service", (1 - ":" * address * ")") ^ 1) * ":"
    * host("postfix_client_ip", address) * ")"
local anvil_time = " at " * rest "postfix_anvil_timestamp"
daemons.anvil = "statistics: max cache size " * integer "postfix_anvil_cache_size" * anvil_time
    + "statistics: max " * (1 - P " rate ") ^ 1 * " rate " * integer "postfix_anvil_conn_rate" * "/"
        * text("postfix_anvil_conn_period", (1 - space) ^ 1) * anvil_client * anvil_time
    + "statistics: max " * (1 - P " count ") ^ 1 * " count " * integer "postfix_anvil_conn_count" * anvil_client
        * anvil_time
    + warning

daemons.pickup = queue_id * "uid=" * integer "postfix_uid" * " from=<" * before("postfix_from", ">")
        * (" orig_id=" * text("postfix_orig_id", (1 - space) ^ 1)) ^ -1
    + warning
daemons.tlsproxy = (P "CONNECT from " + "DISCONNECT ") * client + warning
daemons.master = (P "daemon started" + "reload") * " -- version " * before("postfix_version", ", configuration ")
        * rest "postfix_config_path"
    + "terminating on signal " * integer "postfix_termination_signal"
    + warning
daemons.scache = "statistics: start interval " * rest "postfix_scache_timestamp"
    + "statistics: " * one_of("domain", "address") * " lookup hits=" * integer "postfix_scache_hits" * " miss="
        * integer "postfix_scache_miss" * " success=" * integer "postfix_scache_success" * "%"
    + "statistics: max simultaneous domains=" * integer "postfix_scache_domains" * " addresses="
        * integer "postfix_scache_addresses" * " connection=" * integer "postfix_scache_connection"
    + warning
daemons.sendmail, daemons.postdrop, daemons.trivial_rewrite, daemons.tlsmgr = warning, warning, warning, warning
daemons.relay_info, daemons.delays = relay, delays

for name, pattern in pairs(daemons) do daemons[name] = Ct(pattern) end

local function set(fields, name, value)
    fields[name] = value
    return fields
end

daemons.keyvalue_data = first_pair * Cf(Ct "" * (Cg(C(pair_name) * "=" * pair_value) * pair_separator) ^ 1, set)

-- Matching --------------------------------------------------------------------------------------------------------

local INTEGERS = { uid = true, size = true, nrcpt = true }
local client_grammar, relay_grammar, delays_grammar = Ct(client), daemons.relay_info, daemons.delays
local SPLIT = { client = client_grammar, relay = relay_grammar, delays = delays_grammar }

local function expand(fields, list)
    fields.postfix_keyvalue_data = nil
    for name, value in pairs(list) do
        local parts = SPLIT[name] and SPLIT[name]:match(value)
        if parts then
            for key, part in pairs(parts) do fields[key] = part end
        else
            if INTEGERS[name] and match(value, "^%d+$") then
                value = to_integer(value)
            elseif name == "delay" then
                value = tonumber(value) or value
            end
            fields["postfix_" .. name] = value
        end
    end
end

--- What a daemon's message says; nil if `programname` is not "../daemon", or for an unknown daemon or message.
--- With `extract_keyvalue_data` the list "a=b, c=<d>" becomes fields postfix_a, postfix_c instead of one text; client,
--- relay and delays are split further where they can be.
function M.postfix_match(programname, message, extract_keyvalue_data)
    local daemon = match(programname, "/([^/]+)$")
    local grammar = daemon and daemons[(gsub(daemon, "%-", "_"))]
    local fields = grammar and grammar:match(message)
    if fields and extract_keyvalue_data and fields.postfix_keyvalue_data then
        local list = daemons.keyvalue_data:match(fields.postfix_keyvalue_data)
        if list then expand(fields, list) end
    end
    return fields
end

return M
