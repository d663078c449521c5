-- Renders an alert message as plain text for people, such as the body of an e-mail.
--
-- Configuration: none.
--
--   [AlertEncoder]
--   type = "SandboxEncoder"
--   filename = "lua_encoders/alert.lua"
--
--   [AlertMail]
--   type = "SmtpOutput"
--   message_matcher = "Type == 'heka.sandbox-output' && Fields[payload_type] == 'alert'"
--   encoder = "AlertEncoder"
--   send_from = "heka@example.com"
--   send_to = ["operations@example.com"]
--   host = "127.0.0.1:25"
--
-- Output: four lines: the time in UTC, the host, the plugin that raised the alert (the Logger), and the Payload.

local date = require("os").date

local read_message, inject_payload = read_message, inject_payload

function process_message()
    inject_payload("txt", "alert",
        "Timestamp: ", date("!%Y-%m-%dT%H:%M:%SZ", (read_message("Timestamp") or 0) / 1e9),
        "\nHostname: ", read_message("Hostname"),
        "\nPlugin: ", read_message("Logger"),
        "\nAlert: ", read_message("Payload"), "\n")
    return 0
end
