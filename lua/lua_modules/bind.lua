-- Grammars (LPeg) for the query log of the name server BIND.
--
-- Here: query_log_grammar, dns_record_type, dns_record_class, query_flags. They leave named captures and are not wrapped
-- in a table. Not here: other categories of BIND's log.
--
-- Configuration: none. Use:
--   local grammar = lpeg.Ct(require "bind".query_log_grammar)
--   local t = grammar:match(line)        -- nil, or the captures
--
-- Captures: Timestamp (ns, whole seconds), ClientIP and ServerRespondingIP ({value =, representation =}),
-- ClientEphemeralPort (text), FullQuery, QueryName (its first label), QueryDomain (the other labels, if any), RecordClass,
-- RecordType, QueryFlags (array of phrases).

local l = require "lpeg"
local string = require "string"
local dt = require "date_time"
local ip = require "ip_address"

local P, R, S, C, Cb, Cc, Cg, Ct = l.P, l.R, l.S, l.C, l.Cb, l.Cc, l.Cg, l.Ct
local match, pairs = string.match, pairs

local M = {}

local digit, alphanumeric = R "09", R("az", "AZ", "09")

local timestamp = Cg(dt.build_strftime_grammar("%d-%b-%Y %H:%M:%S") / dt.time_to_ns, "Timestamp")
    * ("." * digit ^ 1) ^ -1

local function address(name)
    local v4 = Ct(Cg(C(ip.v4), "value") * Cg(Cc "ipv4", "representation"))
    local v6 = Ct(Cg(C(ip.v6), "value") * Cg(Cc "ipv6", "representation"))
    return Cg(v4 + v6, name)
end

local label = (alphanumeric + S "_-*/") ^ 1

local whole_name = label * ("." * label) ^ 0 * P "." ^ -1 + "."

local function first_label(name)
    return match(name, "^[^.]+") or name
end

local function other_labels(name)
    return match(name, "^[^.]+%.(.-)%.?$")
end

local query_name = Cg(C(whole_name), "FullQuery") * Cg(Cb "FullQuery" / first_label, "QueryName")
    * Cg(Cb "FullQuery" / other_labels, "QueryDomain")

--- The type of a record, as RecordType.
M.dns_record_type = Cg(C((R("AZ", "09") + "-") ^ 1), "RecordType")

--- The class of a record, as RecordClass.
M.dns_record_class = Cg(C(P "IN" + "CH" + "HS"), "RecordClass")

-- Flags may have a version or a key behind them, as in "E(0)".
local flags = P(false)
for flag, phrase in pairs {
    ["+"] = "recursion requested", ["-"] = "recursion not requested", E = "EDNS used", S = "query signed",
    D = "DNSSEC data wanted", C = "no DNSSEC validation check", T = "TCP used", V = "DNS cookie valid",
    K = "DNS cookie without valid server part",
} do
    flags = flags + P(flag) * ("(" * (1 - P ")") ^ 0 * ")") ^ -1 * Cc(phrase)
end

--- The flags of a query, as QueryFlags.
M.query_flags = Cg(Ct(flags ^ 1), "QueryFlags")

local view = "view " * (1 - S ": ") ^ 1 * ": "

M.query_log_grammar = timestamp * " queries: info: client " * ("@0x" * R("09", "af", "AF") ^ 1 * " ") ^ -1
    * address "ClientIP" * "#" * Cg(C(digit * digit ^ -4), "ClientEphemeralPort")
    * " (" * (1 - P ")") ^ 1 * "): " * view ^ -1 * "query: " * query_name
    * " " * M.dns_record_class * " " * M.dns_record_type * " " * M.query_flags
    * " (" * address "ServerRespondingIP" * ")"

return M
