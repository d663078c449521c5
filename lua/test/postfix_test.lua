if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local test, equal = harness.test, harness.equal

local plugin = harness.load("x", {}, { source = [[m = require "postfix"]] })
local postfix_match = plugin.env.m.postfix_match

local function n(value) return { value = value, value_type = 2 } end
local function v4(text) return { value = text, representation = "ipv4" } end
local function name(text) return { value = text, representation = "hostname" } end

-- Every text of a daemon with what must be captured from it, keys without "postfix_".
local function check(daemon, cases, extract)
    test(daemon .. (extract and " with its pairs" or ""), function()
        for text, expected in pairs(cases) do
            local full = {}
            for key, value in pairs(expected) do full["postfix_" .. key] = value end
            equal(postfix_match("postfix/" .. daemon, text, extract), full, text)
        end
        equal(postfix_match("postfix/" .. daemon, "something else", extract), nil)
    end)
end

check("smtpd", {
    ["connect from a.example[61.238.241.86]"] = { client_hostname = name "a.example", client_ip = v4 "61.238.241.86" },
    ["disconnect from unknown[2001:db8::1] ehlo=1 quit=1"] = { client_hostname = name "unknown",
        client_ip = { value = "2001:db8::1", representation = "ipv6" } },
    ["4104E3D: client=a.example[1.2.3.4]"] = { queueid = "4104E3D", keyvalue_data = "client=a.example[1.2.3.4]" },
    ["NOQUEUE: reject: RCPT from a.example[1.2.3.4]: 550 5.1.1 <b@c>: Recipient address rejected: User unknown; from=<w@c> to=<b@c> proto=ESMTP helo=<e>"] = {
        action = "reject", smtp_stage = "RCPT", client_hostname = name "a.example", client_ip = v4 "1.2.3.4",
        status_code = n(550), status_code_enhanced = "5.1.1", status_data = "b@c",
        status_message = "Recipient address rejected: User unknown",
        keyvalue_data = "from=<w@c> to=<b@c> proto=ESMTP helo=<e>" },
    ["NOQUEUE: reject: RCPT from n[1.2.3.4]: 554 5.7.1 Service unavailable; Helo command [n.example] blocked using d.example; http://d/?n; from=<a@n> to=<b@c> proto=ESMTP"] = {
        action = "reject", smtp_stage = "RCPT", client_hostname = name "n", client_ip = v4 "1.2.3.4",
        status_code = n(554), status_code_enhanced = "5.7.1", status_data = "n.example",
        status_message = "blocked using d.example; http://d/?n", keyvalue_data = "from=<a@n> to=<b@c> proto=ESMTP" },
    ["lost connection after DATA (7774180 bytes) from unknown[1.2.3.4]"] = { smtp_stage = "DATA",
        client_hostname = name "unknown", client_ip = v4 "1.2.3.4", smtpd_lostconn_data = "lost connection" },
    ["timeout after END-OF-MESSAGE from unknown[1.2.3.4]"] = { smtp_stage = "END-OF-MESSAGE",
        client_hostname = name "unknown", client_ip = v4 "1.2.3.4", smtpd_lostconn_data = "timeout" },
    ["SSL_accept error from unknown[1.2.3.4]: Connection timed out"] = { action = "SSL_accept error",
        client_hostname = name "unknown", client_ip = v4 "1.2.3.4", smtpd_lostconn_data = "Connection timed out" },
    ["improper command pipelining after EHLO from unknown[1.2.3.4]: MAIL FROM:<>"] = { smtp_stage = "EHLO",
        client_hostname = name "unknown", client_ip = v4 "1.2.3.4" },
    ["Anonymous TLS connection established from j.example[10.0.0.2]: TLSv1.2 with cipher AECDH-AES256-SHA (256/256 bits)"] = {
        client_hostname = name "j.example", client_ip = v4 "10.0.0.2", tls_version = "TLSv1.2",
        tls_cipher = "AECDH-AES256-SHA", tls_cipher_size = "256/256" },
    ["proxy-accept: END-OF-MESSAGE: 250 2.0.0 from MTA(smtp:[127.0.0.1]:10013): 250 Ok; from=<a@b> to=<c@d>"] = {
        proxy_result = "accept", proxy_smtp_stage = "END-OF-MESSAGE", proxy_status_code = n(250),
        proxy_status_code_enhanced = "2.0.0", keyvalue_data = "from=<a@b> to=<c@d>" },
    ["proxy-reject: END-OF-MESSAGE: ; from=<a@b> to=<c@d>"] = { proxy_result = "reject",
        proxy_smtp_stage = "END-OF-MESSAGE", keyvalue_data = "from=<a@b> to=<c@d>" },
    ["warning: hostname e.example does not resolve"] = { warning = "hostname e.example does not resolve" },
})
check("smtpd", {
    ["4104E3D: client=a.example[1.2.3.4]:25, sasl_method=PLAIN, sasl_username=bob"] = { queueid = "4104E3D",
        client_hostname = name "a.example", client_ip = v4 "1.2.3.4", client_port = n(25), sasl_method = "PLAIN",
        sasl_username = "bob" },
}, true)
check("cleanup", {
    ["0F5383D: message-id=<544D2523.30609@a.example>"] = { queueid = "0F5383D",
        keyvalue_data = "message-id=<544D2523.30609@a.example>" },
    ["4104E3D: milter-header-redirect: header X-Spam-Status: Yes, score=39.3 from a[1.2.3.4]; from=<w@c> to=<v@e> proto=ESMTP helo=<e>: tom@e"] = {
        queueid = "4104E3D", milter_result = "header-redirect",
        milter_message = "header X-Spam-Status: Yes, score=39.3 from a[1.2.3.4]",
        keyvalue_data = "from=<w@c> to=<v@e> proto=ESMTP helo=<e>", milter_data = "tom@e" },
    ["4104E3D: milter-reject: END-OF-MESSAGE from a[1.2.3.4]: 5.7.1 Blocked; from=<w@c> to=<v@e>"] = {
        queueid = "4104E3D", milter_result = "reject", milter_message = "END-OF-MESSAGE from a[1.2.3.4]: 5.7.1 Blocked",
        keyvalue_data = "from=<w@c> to=<v@e>" },
})
check("cleanup", {
    ["0F5383D: message-id=<>"] = { queueid = "0F5383D", ["message-id"] = "" },
}, true)
check("qmgr", {
    ["0F5383D: removed"] = { queueid = "0F5383D" },
    ["0F5383D: from=<o@p>, size=5360, nrcpt=1 (queue active)"] = { queueid = "0F5383D",
        keyvalue_data = "from=<o@p>, size=5360, nrcpt=1" },
})
check("qmgr", {
    ["0F5383D: from=<o@p>, size=5360, nrcpt=1 (queue active)"] = { queueid = "0F5383D", from = "o@p", size = n(5360),
        nrcpt = n(1) },
}, true)
local SENT = "7EE668039: to=<a@e>, relay=m[127.0.0.1]:2525, delay=3.6, delays=0.2/0.02/0.04/3.3, dsn=2.0.0, "
    .. "status=sent (250 2.0.0 Ok: queued as (1))"
check("smtp", {
    [SENT] = { queueid = "7EE668039", status = "sent", smtp_response = "250 2.0.0 Ok: queued as (1)",
        keyvalue_data = "to=<a@e>, relay=m[127.0.0.1]:2525, delay=3.6, delays=0.2/0.02/0.04/3.3, dsn=2.0.0," },
    ["connect to intern.nl[194.109.6.98]:25: Connection timed out"] = { relay_hostname = name "intern.nl",
        relay_ip = v4 "194.109.6.98", relay_port = n(25) },
    ["B99FE3D: lost connection with m.example[65.55.37.72] while receiving the greeting"] = { queueid = "B99FE3D",
        relay_hostname = name "m.example", relay_ip = v4 "65.55.37.72" },
    ["Trusted TLS connection established to 127.0.0.1[127.0.0.1]:25: TLSv1 with cipher X (128/128 bits)"] = {
        relay_hostname = v4 "127.0.0.1", relay_ip = v4 "127.0.0.1", relay_port = n(25), tls_version = "TLSv1",
        tls_cipher = "X", tls_cipher_size = "128/128" },
})
check("lmtp", {
    [SENT] = { queueid = "7EE668039", status = "sent", smtp_response = "250 2.0.0 Ok: queued as (1)", to = "a@e",
        relay_hostname = name "m", relay_ip = v4 "127.0.0.1", relay_port = n(2525), delay = 3.6, dsn = "2.0.0",
        delay_before_qmgr = 0.2, delay_in_qmgr = 0.02, delay_conn_setup = 0.04, delay_transmission = 3.3 },
}, true)
check("discard", {
    ["25F2E5E061: to=<g@e>, relay=none, delay=0.05, delays=0.05/0/0/0, dsn=2.0.0, status=sent (e)"] = {
        queueid = "25F2E5E061", to = "g@e", relay = "none", delay = 0.05, delay_before_qmgr = 0.05, delay_in_qmgr = 0,
        delay_conn_setup = 0, delay_transmission = 0, dsn = "2.0.0", status = "sent" },
}, true)
check("pipe", {
    ["0F5383D: to=<t@e>, relay=dovecot, dsn=2.0.0, status=sent (delivered via dovecot service)"] = {
        queueid = "0F5383D", pipe_service = "dovecot", keyvalue_data = "to=<t@e>, relay=dovecot, dsn=2.0.0, status=sent" },
    ["0F5383D: to=<t@e>, relay=dovecot, status=bounced (mail forwarding loop for t@e)"] = { queueid = "0F5383D",
        to = "t@e", keyvalue_data = "to=<t@e>, relay=dovecot, status=bounced" },
    ["0F5383D: to=<t@e>, status=deferred (temporary failure)"] = { queueid = "0F5383D",
        keyvalue_data = "to=<t@e>, status=deferred" },
})
check("local", {
    ['2A22C263F6: to=u@h, orig_to=root@l, status=sent (delivered to command: procmail -a "X")'] = {
        queueid = "2A22C263F6", keyvalue_data = 'to=u@h, orig_to=root@l, status=sent (delivered to command: procmail -a "X")' },
})
check("local", {
    ["2A22C263F6: to=u@h, orig_to=root@l, status=sent (delivered to mailbox)"] = { queueid = "2A22C263F6", to = "u@h",
        orig_to = "root@l", status = "sent" },
}, true)
check("bounce", {
    ["17CCA8044: sender non-delivery notification: ADD2F8052"] = { queueid = "17CCA8044", bounce_queueid = "ADD2F8052" },
    ["17CCA8044: sender delay notification: ADD2F8052"] = { queueid = "17CCA8044", bounce_queueid = "ADD2F8052" },
})
check("postscreen", {
    ["CONNECT from [61.238.241.86]:53024 to [89.105.204.244]:25"] = { client_ip = v4 "61.238.241.86",
        client_port = n(53024), server_ip = v4 "89.105.204.244", server_port = n(25) },
    ["DISCONNECT [216.81.72.72]:43421"] = { client_ip = v4 "216.81.72.72", client_port = n(43421) },
    ["WHITELIST VETO [1.2.3.4]:5"] = { client_ip = v4 "1.2.3.4", client_port = n(5), postscreen_access = "WHITELIST VETO" },
    ["PREGREET 6 after 1.2 from [1.2.3.4]:5: RSET\\r"] = { client_ip = v4 "1.2.3.4", client_port = n(5),
        postscreen_violation = "PREGREET", postscreen_violation_time = 1.2 },
    ["DNSBL rank 3 for [1.2.3.4]:5"] = { client_ip = v4 "1.2.3.4", client_port = n(5), postscreen_violation = "DNSBL",
        postscreen_dnsbl_rank = n(3) },
    ["HANGUP after 0 from [1.2.3.4]:5 in tests before SMTP handshake"] = { client_ip = v4 "1.2.3.4", client_port = n(5),
        postscreen_violation = "HANGUP", postscreen_violation_time = 0 },
    ["COMMAND PIPELINING from [1.2.3.4]:5 after .: x"] = { client_ip = v4 "1.2.3.4", client_port = n(5),
        postscreen_violation = "COMMAND PIPELINING", smtp_stage = "." },
    ["NOQUEUE: reject: CONNECT from [1.2.3.4]:1337: too many connections"] = { client_ip = v4 "1.2.3.4",
        client_port = n(1337), postscreen_toobusy_data = "too many connections" },
    ["NOQUEUE: reject: RCPT from [1.2.3.4]:5: 550 5.7.1 Service unavailable; client [1.2.3.4] blocked using z; from=<h@q>, to=<4@e>, proto=ESMTP, helo=<q>"] = {
        action = "reject", smtp_stage = "RCPT", client_ip = v4 "1.2.3.4", client_port = n(5), status_code = n(550),
        status_code_enhanced = "5.7.1", status_data = "1.2.3.4", status_message = "blocked using z",
        keyvalue_data = "from=<h@q>, to=<4@e>, proto=ESMTP, helo=<q>" },
    ["NOQUEUE: reject: RCPT from [1.2.3.4]:5: 550 5.5.1 Protocol error; from=<l@y>, to=<t@e>, proto=SMTP, helo=<m>"] = {
        action = "reject", smtp_stage = "RCPT", client_ip = v4 "1.2.3.4", client_port = n(5), status_code = n(550),
        status_code_enhanced = "5.5.1", status_message = "Protocol error",
        keyvalue_data = "from=<l@y>, to=<t@e>, proto=SMTP, helo=<m>" },
    ["cache btree:/var/lib/c full cleanup: retained=242 dropped=7 entries"] = { postscreen_cache_retained = n(242),
        postscreen_cache_dropped = n(7) },
})
check("dnsblog", {
    ["addr 61.238.241.86 listed by domain psbl.example as 127.0.0.2"] = { client_ip = v4 "61.238.241.86",
        dnsbl_domain = "psbl.example", dnsbl_result = "127.0.0.2" },
})
check("anvil", {
    ["statistics: max cache size 1 at Oct 26 18:13:50"] = { anvil_cache_size = n(1), anvil_timestamp = "Oct 26 18:13:50" },
    ["statistics: max connection count 1 for (smtpd:2604:8d00:0:1::3) at Oct 26 17:46:59"] = { anvil_conn_count = n(1),
        anvil_timestamp = "Oct 26 17:46:59", service = "smtpd",
        client_ip = { value = "2604:8d00:0:1::3", representation = "ipv6" } },
    ["statistics: max connection rate 2/60s for (127.0.0.1:2525:127.0.0.1) at Oct 26 18:13:50"] = {
        anvil_conn_rate = n(2), anvil_conn_period = "60s", anvil_timestamp = "Oct 26 18:13:50",
        service = "127.0.0.1:2525", client_ip = v4 "127.0.0.1" },
})
check("pickup", { ["D2FAE20586: uid=0 from=<fail2ban>"] = { queueid = "D2FAE20586", uid = n(0), from = "fail2ban" } })
check("tlsproxy", {
    ["CONNECT from [82.118.17.142]:51637"] = { client_ip = v4 "82.118.17.142", client_port = n(51637) },
    ["DISCONNECT [82.118.17.142]:51637"] = { client_ip = v4 "82.118.17.142", client_port = n(51637) },
})
check("master", {
    ["daemon started -- version 2.11.0, configuration /etc/postfix"] = { version = "2.11.0", config_path = "/etc/postfix" },
    ["terminating on signal 15"] = { termination_signal = n(15) },
})
check("scache", {
    ["statistics: start interval Dec  6 21:20:35"] = { scache_timestamp = "Dec  6 21:20:35" },
    ["statistics: address lookup hits=0 miss=1 success=0%"] = { scache_hits = n(0), scache_miss = n(1), scache_success = n(0) },
    ["statistics: max simultaneous domains=1 addresses=2 connection=3"] = { scache_domains = n(1),
        scache_addresses = n(2), scache_connection = n(3) },
})
for _, daemon in ipairs { "sendmail", "postdrop", "trivial-rewrite", "tlsmgr" } do
    check(daemon, { ["fatal: root(0): message file too big"] = { warning = "root(0): message file too big" } })
end
check("relay_info", { ["1.e.si[private/dovecot-lmtp]"] = { relay_hostname = name "1.e.si", relay_service = "private/dovecot-lmtp" } })
check("delays", { ["0.2/0.02/0.04/3.3"] = { delay_before_qmgr = 0.2, delay_in_qmgr = 0.02, delay_conn_setup = 0.04,
    delay_transmission = 3.3 } })

test("program names and lists of pairs", function()
    equal(postfix_match("smtpd", "connect from a[1.2.3.4]"), nil)
    equal(postfix_match("postfix/nobody", "x"), nil)
    equal(postfix_match("mta-in/submission/smtpd", "connect from a[1.2.3.4]") ~= nil, true)
    equal(postfix_match("postfix/keyvalue_data", "from=<>, to=<tom@example.com>, relay=dovecot, delays=4.1/0/0/0.15, status=sent"),
        { from = "", to = "tom@example.com", relay = "dovecot", delays = "4.1/0/0/0.15", status = "sent" })
end)

harness.finish()
