module c2d-box.local/forwarder

go 1.24.0
