-- Decodes the page of nginx's stub_status module.
--
-- Configuration ([NAME.config]):
--   type          string, "nginx_stub_status"   Type of the messages
--   payload_keep  bool, false                   keeps the page as Payload
--
--   [NginxStubStatus]
--   type = "HttpInput"
--   url = "http://localhost/nginx_status"
--   ticker_interval = 1
--   success_severity = 6
--   error_severity = 1
--   decoder = "NginxStubStatusDecoder"
--
--   [NginxStubStatusDecoder]
--   type = "SandboxDecoder"
--   filename = "lua_decoders/nginx_stub_status.lua"
--
-- Message: the fields connections, accepts, handled, requests, reading, writing, waiting (DOUBLE). A page of another
-- form fails with status -1.

local l = require "lpeg"

local P, R, S, Cg, Ct = l.P, l.R, l.S, l.Cg, l.Ct
local read_message, inject_message, pcall = read_message, inject_message, pcall

local space = S " \t\n\v\f\r"
local number = R "09" ^ 1 / tonumber

local grammar = Ct(P "Active connections:" * space ^ 1 * Cg(number, "connections") * space ^ 1
    * "server accepts handled requests" * space ^ 1
    * Cg(number, "accepts") * space ^ 1 * Cg(number, "handled") * space ^ 1 * Cg(number, "requests") * space ^ 1
    * "Reading:" * space ^ 1 * Cg(number, "reading") * space ^ 1
    * "Writing:" * space ^ 1 * Cg(number, "writing") * space ^ 1
    * "Waiting:" * space ^ 1 * Cg(number, "waiting"))

local payload_keep = read_config("payload_keep")

-- Every message goes out through this one table.
local msg = { Type = read_config("type") or "nginx_stub_status", Payload = nil, Fields = nil }

function process_message()
    local payload = read_message("Payload")
    local fields = grammar:match(payload)
    if not fields then return -1 end

    if payload_keep then msg.Payload = payload end
    msg.Fields = fields
    local good, err = pcall(inject_message, msg)
    if not good then return -1, err end
    return 0
end
