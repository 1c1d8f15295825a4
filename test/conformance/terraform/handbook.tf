# The handbook's module, word for word (Chapter 1.1), with the variables it takes.
variable "env" { type = string }
variable "service_name" { type = string }
variable "team_channel" { type = string }

resource "datadog_monitor" "lambda_error_rate" {
  name    = "[${var.env}] Lambda Error Rate High: {{service.name}}"
  type    = "query alert"
  query   = "avg(last_5m):default_zero(sum:aws.lambda.errors{env:${var.env}, service:${var.service_name}}) / default_zero(sum:aws.lambda.invocations{env:${var.env}, service:${var.service_name}}) > 0.05"
  message = <<EOT
  {{service.name}} のエラー率が5%を超えました。
  Logs: [Dashboard Link]
  @slack-${var.team_channel}
  EOT
  
  tags = ["env:${var.env}", "service:${var.service_name}", "terraform:true"]
}
