-- Grammars (LPeg) for the messages of programs that log to syslog.
--
-- Here: get_prog_grammar(name), get_wildcard_grammar(name). Not here: the header of syslog lines (module syslog).
--
-- Configuration: none. Use:
--   local syslog_message = require "syslog_message"
--   local grammar = syslog_message.get_prog_grammar(programname)
--   local fields = grammar and grammar:match(text)      -- nil, or {remote_user =, remote_addr = {value =, ..}, ..}
--
-- Programs: CRON crontab dhclient dhcpd groupadd groupdel login named puppet-agent sshd su sudo systemd-logind useradd.
-- Wildcard grammars fit the messages of any program: PAM. The names of the captures are listed in syslog_message.md.
-- Addresses are tables {value =, representation = "ipv4" or "ipv6"}; numbers are numbers, the rest is text.

local l = require "lpeg"
local ip = require "ip_address"

local P, R, S, C, Cc, Cg, Ct = l.P, l.R, l.S, l.C, l.Cc, l.Cg, l.Ct
local pairs, select, tonumber = pairs, select, tonumber

local M = {}

local digits, finish = R "09" ^ 1, -P(1)

-- Parts -----------------------------------------------------------------------------------------------------------

-- The text before `stop`, as `name`; `stop` is consumed.
local function before(name, stop)
    stop = P(stop)
    return Cg(C((1 - stop) ^ 0), name) * stop
end

local function rest(name)
    return Cg(C(P(1) ^ 0), name)
end

local function word(name)
    return Cg(C((1 - S " \t") ^ 1), name)
end

local function number(name)
    return Cg(digits * ("." * digits) ^ -1 / tonumber, name)
end

local any_address = Ct(Cg(C(ip.v4), "value") * Cg(Cc "ipv4", "representation"))
    + Ct(Cg(C(ip.v6), "value") * Cg(Cc "ipv6", "representation"))

local function address(name)
    return Cg(any_address, name)
end

local function constant(name, value)
    return Cg(Cc(value), name)
end

local function one_of(name, first, ...)
    local pattern = P(first)
    for i = 1, select("#", ...) do pattern = pattern + (select(i, ...)) end
    return Cg(C(pattern), name)
end

-- Programs --------------------------------------------------------------------------------------------------------

local programs = {}

programs.CRON = "(" * before("cron_username", ") ") * before("cron_event", " (")
    * Cg(C((1 - P ")" * finish) ^ 0), "cron_detail") * ")"
programs.crontab = programs.CRON

local dhcp_server = address "dhcp_server_addr" * (" port " * number "dhcp_server_port") ^ -1
    * (" interval " * number "dhcp_client_interval_seconds") ^ -1
local dhcp_of = (" of " * address "dhcp_client_addr" + " for " * address "dhcp_client_addr") ^ -1
local function dhcp_type(...) return one_of("dhcp_type", ...) end
programs.dhclient = dhcp_type("DHCPDISCOVER", "DHCPREQUEST", "DHCPDECLINE", "DHCPRELEASE", "DHCPINFORM") * dhcp_of
        * " on " * word "dhcp_client_interface" * " to " * dhcp_server
    + dhcp_type("DHCPOFFER", "DHCPACK", "DHCPNAK") * dhcp_of * " from " * dhcp_server
    + "bound to " * address "dhcp_client_addr" * " -- renewal in " * number "dhcp_client_renewal_seconds" * " seconds"

local hex = R("09", "af", "AF")
local hardware = Cg(C(hex ^ 1 * (":" * hex ^ 1) ^ 1), "dhcp_client_hw_addr")
local dhcp_client = hardware * (" (" * before("dhcp_client_hostname", ")")) ^ -1
local dhcp_via = " via " * Cg(C((1 - S " :") ^ 1), "dhcp_source")
    * (" lease-duration " * number "dhcp_lease_time") ^ -1
    * (": " * rest "dhcp_message" + " (" * before("dhcp_message", ")")) ^ -1
local pool = before("dhcp_pool_result", " pool ") * word "dhcp_pool_id" * " " * word "dhcp_network"
    * P " " ^ 1 * "total " * number "dhcp_lease_count" * P " " ^ 1 * "free " * number "dhcp_free_leases"
    * P " " ^ 1 * "backup " * number "dhcp_backup_leases" * P " " ^ 1 * "lts " * Cg(P "-" ^ -1 * digits / tonumber,
        "dhcp_lts")
    * (P " " ^ 1 * "max-own (+/-)" * number "dhcp_hold") ^ -1
    * (P " " ^ 1 * "max-misbal " * number "dhcp_thresh") ^ -1
programs.dhcpd = dhcp_type "DHCPDISCOVER" * " from " * dhcp_client * dhcp_via
    + dhcp_type("DHCPOFFER", "DHCPACK", "DHCPNAK") * " on " * address "dhcp_client_addr" * " to " * dhcp_client * dhcp_via
    + dhcp_type "DHCPACK" * " to " * address "dhcp_client_addr" * " (" * hardware * ")" * dhcp_via
    + dhcp_type "DHCPREQUEST" * " for " * address "dhcp_client_addr" * (" (" * address "dhcp_server_addr" * ")") ^ -1
        * " from " * dhcp_client * dhcp_via
    + dhcp_type("DHCPRELEASE", "DHCPDECLINE") * " of " * address "dhcp_client_addr" * " from " * dhcp_client * dhcp_via
    + dhcp_type "DHCPINFORM" * " from " * address "dhcp_client_addr" * dhcp_via
    + "bind update on " * address "dhcp_client_addr" * " from " * before("dhcp_failover_peer", " rejected: ")
        * rest "dhcp_bind_update_status"
    + pool

programs.groupadd = ("group added to " * (1 - P ":") ^ 1 * ": " + P "new group: ") * "name=" * before("group_name", ", ")
    * "GID=" * number "gid"
programs.groupdel = "group '" * before("group_name", "' removed") * (" from " * rest "group_dbname") ^ -1

local quote = P "'" ^ -1
programs.login = "FAILED LOGIN " * (P "(" ^ -1 * number "failcount" * P ")" ^ -1 * " ") ^ -1
    * ("on " * quote * Cg(C((1 - S "' ") ^ 1), "tty") * quote * " ") ^ -1
    * (P "FROM " * quote * Cg(C((1 - S "' ") ^ 0), "from") * quote * " ") ^ -1
    * "FOR " * quote * Cg(C((1 - S "',") ^ 0), "user") * quote * ", " * rest "pam_error"

local dns_server = address "dns_addr" * "#" * number "dns_port"
local function dns_query(stop)
    return Cg(C((1 - S "/'" - stop) ^ 1), "dns_name") * ("/" * Cg(C((1 - S "/'" - stop) ^ 1), "dns_type")) ^ -1
        * ("/" * Cg(C((1 - S "/'" - stop) ^ 1), "dns_class")) ^ -1
end
local quoted_query = "'" * dns_query(P "'") * "'"
local bare_query = dns_query(S " :")
local in_domain = " (in '" * before("dns_domain", "'?)")
local dns_client = address "dns_client_addr" * "#" * number "dns_client_port"
local named_client = "client " * (P "@0x" * hex ^ 1 * " ") ^ -1 * dns_client
    * ("/key " * Cg(C((1 - S " :") ^ 1), "dns_client_signer")) ^ -1
    * (" (" * before("dns_name", ")")) ^ -1 * ": "
    * ("view " * before("dns_view", ": ")) ^ -1 * rest "dns_message"
local named_zone = "zone " * before("dns_domain", "/") * Cg(C((1 - S "/:") ^ 1), "dns_class")
    * ("/" * Cg(C((1 - P ":") ^ 1), "dns_view")) ^ -1 * ": "
    * (before("dns_message", " (serial ") * number "dns_serial" * ")" + before("dns_message", " serial ")
        * number "dns_serial" + rest "dns_message")
programs.named = "DNS format error from " * constant("dns_error", "DNS format error") * dns_server * " resolving "
        * bare_query * (" for client " * dns_client) ^ -1 * ": " * rest "dns_message"
    + "success resolving " * quoted_query * in_domain ^ -1 * " after " * rest "dns_message"
    + "clients-per-query " * (P "increased" + "decreased") * " to " * number "dns_clients_per_query"
    + named_client
    + named_zone
    + "checkhints: " * rest "dns_message"
    + before("dns_error", " resolving ") * quoted_query * in_domain ^ -1 * ": " * dns_server
    + "skipping nameserver '" * before("dns_nameserver", "' because ") * rest "dns_message"

local parameter = (R("az", "AZ", "09") + S "_-") ^ 1
local path_end = "]" * ("/" * parameter) ^ -1 * ")" * (#P " " + finish)
local resource = "(" * Cg(C((1 - path_end) ^ 1 * "]"), "puppet_resource_path")
local changes = "current_value " * before("puppet_current_value", ", should be ")
        * before("puppet_should_value", " (noop)")
        * (" (previously recorded value was " * before("puppet_historical_value", P ")" * finish)) ^ -1
        * constant("puppet_noop", true)
    + Cg(C(parameter), "puppet_ensure_parameter") * " changed '" * before("puppet_old_value", "' to '")
        * before("puppet_new_value", P "'" * finish)
local events = "Scheduling " * before("puppet_callback", " of ") * rest "puppet_callback_target"
    + one_of("puppet_msg", "Would have triggered", "Triggered") * " '" * before("puppet_callback", "' from ")
        * number "puppet_events_count" * " event"
    + "Filebucketed " * before("puppet_file_path", " to ") * before("puppet_bucket", " with sum ")
        * rest "puppet_file_sum"
programs["puppet-agent"] = resource
        * ("/" * Cg(C(parameter), "puppet_parameter") * ")" * (" " * (changes + events + rest "puppet_change")) ^ -1
            + ")" * (" " * (events + rest "puppet_msg")) ^ -1)
    + before("puppet_msg", " in " * #(digits * ("." * digits) ^ -1 * " seconds")) * number "puppet_benchmark_seconds"
        * " seconds"

local remote = address "remote_addr" * (" port " * number "remote_port") ^ -1
programs.sshd = one_of("sshd_authmsg", "Accepted", "Failed", "Postponed", "Partial") * " "
        * Cg(C((1 - S " /") ^ 1), "sshd_method") * ("/" * word "sshd_submethod") ^ -1 * " for "
        * P "invalid user " ^ -1 * Cg(C((1 - " from " * remote) ^ 0), "remote_user") * " from " * remote
        * (P " ssh" * R "12" * (": " * rest "sshd_info") ^ -1) ^ -1
    + "Received disconnect from " * remote * ":" * P " " ^ -1 * number "disconnect_reason" * ": "
        * rest "disconnect_msg"
    + (P "Invalid user " + "Illegal user ") * Cg(C((1 - " from " * remote) ^ 0), "remote_user") * " from " * remote
    + (P "Connection closed by " + "Connection reset by " + "Disconnected from ")
        * ((P "invalid user " + "authenticating user " + "user ") * before("remote_user", " " * #remote)) ^ -1 * remote
    + (P "Connection from " + "Did not receive identification string from ") * remote
    + "reverse mapping checking getaddrinfo for " * before("remote_host", " [") * address "remote_addr" * "]"
    + "Address " * address "remote_addr" * " maps to " * before("remote_host", ",")
    + "subsystem request for " * word "sshd_subsystem" * (" by user " * word "remote_user") ^ -1
    + "Received signal " * Cg(C(digits), "signal")
    + "Server listening on " * word "listen_address" * " port " * Cg(C(digits), "listen_port")
    + one_of("sshd_errorlevel", "error", "fatal") * ": " * rest "sshd_error"

programs.su = one_of("su_status", "Successful", "FAILED") * " su for " * before("su_name", " by ") * rest "su_oldname"
    + (Cg(C "FAILED SU", "su_status") * " ") ^ -1 * "(to " * before("su_name", ") ") * before("su_oldname", " on ")
    + Cg(C(S "+-"), "su_status") * " " * (1 - P " ") ^ 1 * " " * before("su_oldname", ":") * rest "su_name"
    + "pam_authenticate: " * rest "pam_error"

local sudo_end = " ; " + finish
programs.sudo = P " " ^ 0 * before("sudo_message", (P " : " + " ; ") * #P "TTY=")
    * "TTY=" * before("sudo_tty", sudo_end)
    * ("PWD=" * before("sudo_pwd", sudo_end)) ^ -1
    * ("USER=" * before("sudo_user", sudo_end)) ^ -1
    * ("GROUP=" * before("sudo_group", sudo_end)) ^ -1
    * ("TSID=" * before("sudo_tsid", sudo_end)) ^ -1
    * ("ENV=" * before("sudo_env", sudo_end)) ^ -1
    * ("COMMAND=" * rest "sudo_command") ^ -1

local session = R "az" ^ 0 * number "session_id"
programs["systemd-logind"] = constant("sd_message", "SESSION_START") * "New session " * session * " of user "
        * before("user_id", P "." * finish)
    + constant("sd_message", "SESSION_STOP") * "Removed session " * session

programs.useradd = "new user: name=" * before("user_name", ", UID=") * number "uid" * ", GID=" * number "gid"
        * ", home=" * before("user_home", ", shell=") * Cg(C((1 - P ",") ^ 0), "user_shell")
    + "add '" * before("user_name", "' to ") * P "shadow " ^ -1 * "group '" * before("group_name", "'")

for name, pattern in pairs(programs) do programs[name] = Ct(pattern) end

-- Any program -----------------------------------------------------------------------------------------------------

local name_end = S " (" + finish
local user_name = Cg(C((1 - name_end) ^ 0), "user_name") * ("(uid=" * digits * ")") ^ -1
local pam_session = one_of("pam_action", "session opened", "session closed") * " for user " * user_name
    * (" by " * Cg(C((1 - P "(") ^ 0), "login_name") * "(uid=" * number "uid" * ")") ^ -1
local function pam_value(name)
    return P " " ^ 1 * name * "=" * Cg(C((1 - P " ") ^ 0), name)
end
local function pam_number(name)
    return P " " ^ 1 * name * "=" * number(name)
end
local pam_failure = one_of("pam_action", "authentication failure") * ";" * pam_value "logname" * pam_number "uid"
    * pam_number "euid" * pam_value "tty" * pam_value "ruser" * pam_value "rhost" * pam_value "user" ^ -1

local wildcards = {
    PAM = Ct(Cg(C("pam_" * (R("az", "09") + "_") ^ 1), "pam_module") * "(" * before("pam_service", ":")
        * before("pam_type", "): ") * (pam_session + pam_failure + rest "pam_action")),
}

--- The table grammar for the messages of a program, or nil.
function M.get_prog_grammar(name)
    return programs[name]
end

--- The table grammar of that name that fits any program, or nil; without a name all of them by their names.
function M.get_wildcard_grammar(name)
    if name == nil then return wildcards end
    return wildcards[name]
end

return M
