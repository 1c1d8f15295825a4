# Beside the handbook: what else of this version's management API Terraform drives.
terraform {
  required_providers {
    datadog = { source = "datadog/datadog" }
  }
}

variable "hook_url" { type = string }
variable "limit" { type = number }

resource "datadog_webhook" "ops" {
  name           = "tf-ops"
  url            = var.hook_url
  custom_headers = jsonencode({ "X-Team" = "shop" })
}

resource "datadog_integration_slack_channel" "team" {
  account_name = "team"
  channel_name = "#${var.team_channel}"
  display {
    message  = true
    notified = true
    snapshot = false
    tags     = true
  }
}

resource "datadog_monitor" "errors_by_service" {
  name    = "Errors in the logs of {{service.name}}"
  type    = "log alert"
  query   = "logs(\"status:error env:${var.env}\").index(\"*\").rollup(\"count\").by(\"service\").last(\"5m\") > ${var.limit}"
  message = "{{#is_alert}}{{value}} errors{{/is_alert}} @webhook-${datadog_webhook.ops.name}"

  monitor_thresholds {
    critical          = var.limit
    critical_recovery = 1
    warning           = 2
  }
  notify_no_data    = false
  renotify_interval = 60
  priority          = 2
  tags              = ["team:shop", "terraform:true"]
}

resource "datadog_monitor" "load" {
  name              = "Load on {{host.name}}"
  type              = "metric alert"
  query             = "max(last_10m):avg:system.load.1{env:${var.env}} by {host} > 4.5"
  message           = "busy @webhook-${datadog_webhook.ops.name}"
  evaluation_delay  = 60
  no_data_timeframe = 20
  notify_no_data    = true
  new_group_delay   = 60
  include_tags      = true

  monitor_thresholds {
    critical = 4.5
    warning  = 3
  }
}
